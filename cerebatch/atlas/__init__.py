"""The subject-specific atlas: similar cases of a library, registered and fused (section 2.3)."""
