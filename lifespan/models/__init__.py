"""Curves of volume against age: the candidates, splines, spread, sites, visits, shape, and how they are fitted."""
