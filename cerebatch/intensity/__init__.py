"""Intensities that mean the same in every scan."""
