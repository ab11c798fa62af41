"""Residuals of Student's t: what each row weighs, and how heavy the tails are."""

from __future__ import annotations

import numpy as np
from scipy import special

from lifespan.arrays import Floats

FREEDOMS = (2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0, 50.0, 100.0, 300.0)
"""Degrees of freedom that are tried; at 300 the distribution cannot be told from a normal one."""

START = 4.0

GROSS = 10.0
"""Beyond so many standard deviations a value is an error, and tells nothing of the tails of sound people."""

FAR = 5.0
"""So many robust standard deviations from the curve a value is far."""


def inflation(standardised: Floats, freedom: float) -> Floats:
    """(n,) by how much each row's spread is raised: the root of (freedom + r^2) / (freedom + 1).

    Student's t is a normal distribution whose variance is drawn anew for each row; this is the expectation step for it
    (Lange, Little and Taylor, Journal of the American Statistical Association 84, 1989, 881-896).

    Parameters
    ----------
    standardised : (n,) float
        Residuals over the scale.
    freedom : float
        Errors beyond 10 standard deviations have 4 at most: next to sound normal people nothing else outweighs them.
    """
    of = np.where(np.abs(standardised) > GROSS, min(freedom, START), freedom)
    return np.asarray(np.sqrt((of + standardised**2) / (of + 1.0)))


def likeliest_freedom(standardised: Floats) -> float:
    """Degrees of freedom with the largest likelihood, of residuals over their scale (n,).

    The scale in them belongs to the freedom of the turn before; each candidate gets its own by some steps.
    """
    standardised = standardised[np.abs(standardised) <= GROSS * robust_sd(standardised)]
    best, best_loss = FREEDOMS[-1], np.inf
    for freedom in FREEDOMS:
        scale = 1.0
        for _ in range(12):
            weights = inflation(standardised / scale, freedom) ** -2.0
            scale = float(np.sqrt(np.mean(weights * standardised**2)))
        half = freedom / 2.0
        constant = special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * np.log(np.pi * freedom)
        density = constant - (half + 0.5) * np.log1p((standardised / scale) ** 2 / freedom) - np.log(scale)
        loss = -float(density.sum())
        if loss < best_loss:
            best, best_loss = freedom, loss
    return best


def robust_sd(values: Floats) -> float:
    """1.4826 times the median absolute deviation: of a normal distribution its standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
