"""Whole heads whose lobules are known: a lobule map posed in a head map, and its scan."""
