"""How much sites differ, and how well that is known: restricted likelihood with a prior."""

from __future__ import annotations

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.whitening import Whitening

PRIOR_SCALE = 1.0
"""The prior of the standard deviation between sites is half-normal, of this scale in units of the spread within one.

Two sites alone have one degree of freedom: their likelihood has no end, and bounds from it are many spreads wide.
Scanners that differed by more than twice what people do would not be pooled. Such priors: Gelman, Bayesian Analysis 1
(2006), 515-534.
"""

_GRID = np.concatenate([[1e-3], np.linspace(0.02, 4.0, 120)])


def between_sites(whitening: Whitening, values: Floats, columns: Floats) -> tuple[float, float]:
    """Root mean square of the standard deviation between sites, given the people, and the doubt about its square.

    Parameters
    ----------
    whitening : Whitening
        With sites; its own `site_sd` is not used.
    values : (n,) float
        Less the curves.
    columns : (n, p) float
        Derivatives of the curves by their parameters: the likelihood is restricted to what they leave.

    Returns
    -------
    sd : float
        In the unit of the values.
    doubt : float
        Standard deviation of the square of the standard deviation between sites.
    """
    assert whitening.sites is not None
    sites = whitening.sites
    ones = whitening.within_sites(np.ones(len(values)))
    x, y = whitening.within_sites(columns), whitening.within_sites(values)
    weight = sites.sums(ones**2)
    of_x, of_y = sites.sums(ones[:, None] * x), sites.sums(ones * y)
    xx, xy, yy = x.T @ x, x.T @ y, float(y @ y)
    unit = float(np.exp(np.mean(np.log(whitening.sd))))
    losses = []
    for ratio in _GRID:
        between = (ratio * unit) ** 2
        # Sherman and Morrison's formula, site by site, on the cross products.
        factor = between / (1.0 + between * weight)
        a = xx - (of_x.T * factor) @ of_x
        b = xy - of_x.T @ (factor * of_y)
        c = yy - float((factor * of_y**2).sum())
        rss = c - float(b @ np.linalg.solve(a, b))
        determinant = float(np.log1p(between * weight).sum()) + float(np.linalg.slogdet(a)[1])
        losses.append(rss + determinant + (ratio / PRIOR_SCALE) ** 2)
    log_posterior = -0.5 * np.array(losses)
    mass = np.exp(log_posterior - log_posterior.max()) * np.gradient(_GRID)
    mass /= mass.sum()
    squares = (_GRID * unit) ** 2
    mean = float((mass * squares).sum())
    return float(np.sqrt(mean)), float(np.sqrt((mass * (squares - mean) ** 2).sum()))


def joint_uncertainty(whitening: Whitening, columns: Floats) -> tuple[Floats, Floats, Floats]:
    """How the errors of curves and of the sites' shifts hang together.

    Few sites leave it open how high a curve lies, and a shift is then wrong by as much the other way; the curve of a
    known site is known far better than both. Henderson's mixed model equations (Biometrics 31, 1975, 423-447).

    Parameters
    ----------
    whitening : Whitening
        With sites.
    columns : (n, p) float
        Derivatives of the curves by their parameters.

    Returns
    -------
    of_curves : (p, p) float
        Covariance of the parameters.
    with_shifts : (sites, p) float
        Covariance of each site's shift with them.
    of_shifts : (sites,) float
        Variance of each shift.
    """
    assert whitening.sites is not None
    sites = whitening.sites
    ones, x = whitening.within_sites(np.ones(len(columns))), whitening.within_sites(columns)
    inverse = 1.0 / (sites.sums(ones**2) + max(whitening.site_sd, 1e-12) ** -2.0)
    of_x = sites.sums(ones[:, None] * x)
    of_curves = np.linalg.inv(x.T @ x - (of_x.T * inverse) @ of_x)
    with_shifts = -inverse[:, None] * (of_x @ of_curves)
    of_shifts = inverse - (with_shifts * of_x).sum(axis=1) * inverse
    return np.asarray(of_curves), np.asarray(with_shifts), np.asarray(of_shifts)
