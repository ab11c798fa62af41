"""Profiles, machines and the jobs of a batch scheduler."""
