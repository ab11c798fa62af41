"""The models of volume against age."""
