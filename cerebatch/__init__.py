"""Cerebellar lobule segmentation and volumetry for whole cohorts."""

from importlib.metadata import version

__version__ = version("cerebatch")
