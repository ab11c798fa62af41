"""Natural cubic splines of age; the number of knots by BIC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis

MOST_INNER_KNOTS = 5


def natural_spline(age: Floats, basis: AgeBasis, knots: tuple[float, ...]) -> Floats:
    """Columns of a cubic spline that is a straight line outside its knots.

    Truncated powers, equations 5.4 and 5.5 of Hastie, Tibshirani and Friedman (The Elements of Statistical Learning,
    2009).

    Parameters
    ----------
    age : (n,) float
        Years.
    basis : AgeBasis
        Scale of the columns.
    knots : tuple of K float
        Years, rising, the two ends included; of two knots the spline is a straight line.

    Returns
    -------
    columns : (n, K) float
    """
    t = (age - basis.centre) / basis.half
    at = (np.array(knots) - basis.centre) / basis.half
    cubes = np.maximum(t[:, None] - at[None, :], 0.0) ** 3
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (at[-1] - at[:-1])
    bends = slopes[:, :-1] - slopes[:, -1:]
    return np.column_stack([np.ones_like(t), t, bends])


def knot_candidates(age: Floats) -> list[tuple[float, ...]]:
    """Sets of knots for 0 to 5 inner ones.

    An inner knot stands midway between the quantile of the ages and the even division of their range: cohorts crowd
    in the twenties, and quantiles alone would leave the rest of life without a knot.
    """
    low, high = float(age.min()), float(age.max())
    sets = []
    for inner in range(MOST_INNER_KNOTS + 1):
        share = np.arange(1, inner + 1) / (inner + 1)
        middle = (np.quantile(age, share) + low + share * (high - low)) / 2.0 if inner else np.array([])
        sets.append((low, *(float(knot) for knot in middle), high))
    return sets


def fit_spline(
    age: Floats, volume: Floats, basis: AgeBasis, whiten: Callable[[Floats], Floats], knots: tuple[float, ...]
) -> tuple[Floats, Floats, float]:
    """Least squares for one set of knots.

    Parameters
    ----------
    age, volume : (n,) float
        Years; the unit of the volumes.
    basis : AgeBasis
    whiten : callable
    knots : tuple of K float
        Years.

    Returns
    -------
    coefficients : (K,) float
    covariance : (K, K) float
    rss : float
        Sum of squared whitened residuals.
    """
    q, r = np.linalg.qr(whiten(natural_spline(age, basis, knots)))
    target = whiten(volume[:, None])[:, 0]
    coefficients = np.linalg.solve(r, q.T @ target)
    rss = float(((target - q @ (q.T @ target)) ** 2).sum())
    root = np.linalg.inv(r)
    return coefficients, rss / (len(age) - len(knots)) * (root @ root.T), rss
