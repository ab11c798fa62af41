"""What is written down about a run: records of stages, manifests, leases, events."""
