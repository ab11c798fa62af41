"""Curves of volume against age."""
