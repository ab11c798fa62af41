"""Natural cubic splines of age; the number of knots by BIC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import LOG_OFFSET, AgeBasis

MOST_INNER_KNOTS = 6

Knots = tuple[float, ...]
"""Years, rising, the two ends included."""


def natural_spline(age: Floats, basis: AgeBasis, knots: Knots, log_age: bool = False) -> Floats:
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
    log_age : bool
        Whether the spline is one of log(age + 0.75): volumes change in the first years as much as in decades after.

    Returns
    -------
    columns : (n, K) float
    """
    t, at = basis.scaled(age, log_age), basis.scaled(np.array(knots), log_age)
    cubes = np.maximum(t[:, None] - at[None, :], 0.0) ** 3
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (at[-1] - at[:-1])
    bends = slopes[:, :-1] - slopes[:, -1:]
    return np.column_stack([np.ones_like(t), t, bends])


def knot_candidates(age: Floats) -> list[tuple[Knots, bool]]:
    """Sets of knots for 0 to 6 inner ones, of age in years and of log(age + 0.75).

    An inner knot stands midway between the quantile of the ages and the even division of their range on that scale:
    cohorts crowd in the twenties, and quantiles alone would leave the rest of life without a knot.

    Returns
    -------
    sets : list of (knots, log_age)
        Knots in years.
    """
    low, high = float(age.min()), float(age.max())
    sets = []
    for log_age in (False, True):
        start, end = (float(np.log(x + LOG_OFFSET)) if log_age else x for x in (low, high))
        for inner in range(MOST_INNER_KNOTS + 1):
            share = np.arange(1, inner + 1) / (inner + 1)
            even = start + share * (end - start)
            crowd = np.quantile(age, share)
            middle = (even + (np.log(crowd + LOG_OFFSET) if log_age else crowd)) / 2.0
            years = np.exp(middle) - LOG_OFFSET if log_age else middle
            sets.append(((low, *(float(knot) for knot in years), high), log_age))
    return sets


def fit_spline(
    age: Floats,
    volume: Floats,
    basis: AgeBasis,
    whiten: Callable[[Floats], Floats],
    knots: Knots,
    log_age: bool = False,
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
    log_age : bool

    Returns
    -------
    coefficients : (K,) float
    covariance : (K, K) float
    rss : float
        Sum of squared whitened residuals.
    """
    q, r = np.linalg.qr(whiten(natural_spline(age, basis, knots, log_age)))
    target = whiten(volume[:, None])[:, 0]
    coefficients = np.linalg.solve(r, q.T @ target)
    rss = float(((target - q @ (q.T @ target)) ** 2).sum())
    root = np.linalg.inv(r)
    return coefficients, rss / (len(age) - len(knots)) * (root @ root.T), rss
