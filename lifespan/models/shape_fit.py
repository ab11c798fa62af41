"""The likeliest shape of standardised residuals: its likelihood, and the slopes of that by its parameters."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from lifespan.arrays import Floats
from lifespan.models.shape import PARAMETERS, Shape, moment_factor

_STEP = 1e-4
_HIGHEST = 300.0
"""Of a normal score's asinh: the square of its cosh still is a number."""


def fit_shape(x: Floats, t: Floats | None = None) -> Shape | None:
    """Maximum likelihood for standardised residuals; None where BIC prefers the normal distribution.

    Parameters
    ----------
    x : (n,) float
        Residuals over their spread.
    t : (n,) float, optional
        Scaled ages of `AgeBasis`: with them skew may change with age, if BIC agrees.
    """
    normal = 0.5 * np.log(2 * np.pi * x.var()) + 0.5
    best, best_bic = None, 2.0 * len(x) * normal
    start = np.array([float(x.mean()), float(np.log(x.std())), 0.0, 0.0, 0.0])
    for sloped in (False, True) if t is not None else (False,):
        theta, loss = _most_likely(x, t if sloped else None, start)
        bic = 2.0 * len(x) * loss + (PARAMETERS + sloped) * np.log(len(x))
        if bic < best_bic:
            best, best_bic = _shape_of(theta), bic
        start = theta
    return best


def _shape_of(theta: Floats) -> Shape:
    location, log_scale, skew, log_tails, slope = map(float, theta)
    return Shape(location, float(np.exp(log_scale)), skew, float(np.exp(log_tails)), slope)


def _most_likely(x: Floats, t: Floats | None, start: Floats) -> tuple[Floats, float]:
    """Location, log scale, skew, log tails and slope of skew (0 without t); and minus the mean logarithmic density."""
    inside = None if t is None else np.clip(t, -1.0, 1.0)
    slopes = (0.0, 0.0) if t is None else (-1.5, 1.5)
    bounds = [(-3, 3), (-2, 2), (-2, 2), (-1.2, 1.2), slopes]
    found = optimize.minimize(shape_loss, start, (x, inside), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x), float(found.fun)


def shape_loss(theta: Floats, x: Floats, t: Floats | None) -> tuple[float, Floats]:
    """Minus the mean logarithmic density of a shape, and its derivatives.

    Parameters
    ----------
    theta : (5,) float
        Location, logarithm of the scale, skew, logarithm of the tails, slope of the skew.
    x : (n,) float
    t : (n,) float, optional
        Scaled ages from -1 to 1; without them the slope has no effect.

    Returns
    -------
    loss : float
    slopes : (5,) float
    """
    location, log_scale, skew, log_tails, slope = theta
    tails, k = float(np.exp(log_tails)), np.asarray(skew if t is None else skew + slope * t)
    mean, sd, mean_by_k, sd_by_k, mean_by_tails, sd_by_tails = _moment_slopes(k, log_tails)
    u = (x - location) * np.exp(-log_scale)
    w = mean + sd * u
    root = np.sqrt(1.0 + w * w)
    # asinh w; NumPy's own is several times slower.
    lifted = np.copysign(np.log(np.abs(w) + root), w) * tails
    power = np.exp(np.clip(lifted - k, -_HIGHEST, _HIGHEST))
    z, cosh = 0.5 * (power - 1.0 / power), 0.5 * (power + 1.0 / power)
    density = np.log(cosh / root) - 0.5 * z * z
    by_score = z / cosh - z * cosh
    by_w = (by_score * tails - w / root) / root
    by_u = by_w * u
    by_k = by_w * mean_by_k + by_u * sd_by_k + sd_by_k / sd - by_score
    by_tails = by_score * lifted + 1.0 + by_w * mean_by_tails + by_u * sd_by_tails + sd_by_tails / sd
    value = float(density.mean()) + log_tails - log_scale + float(np.mean(np.log(sd))) - 0.5 * float(np.log(2 * np.pi))
    by_location = -float(np.mean(by_w * sd)) * np.exp(-log_scale)
    by_scale = -float(np.mean(by_u * sd)) - 1.0
    by_slope = 0.0 if t is None else float(np.mean(by_k * t))
    slopes = np.array([by_location, by_scale, float(by_k.mean()), float(by_tails.mean()), by_slope])
    return -float(value), -slopes


def _moment_slopes(k: Floats, log_tails: float) -> tuple[Floats, ...]:
    """Mean and standard deviation of sinh((asinh Z + k) / tails), and their derivatives by k and by log tails."""
    q = float(np.exp(-log_tails))
    first, first_by = _factor_and_slope(q)
    second, second_by = _factor_and_slope(2.0 * q)
    grown, shrunk = np.exp(k * q), np.exp(-k * q)
    sinh, cosh = 0.5 * (grown - shrunk), 0.5 * (grown + shrunk)
    sinh_2, cosh_2 = 2.0 * sinh * cosh, 1.0 + 2.0 * sinh * sinh
    mean, mean_by_k = sinh * first, cosh * first * q
    mean_by_tails = -k * mean_by_k + sinh * first_by
    sd = np.sqrt(0.5 * (cosh_2 * second - 1.0) - mean * mean)
    sd_by_k = (0.5 * sinh_2 * second * q - mean * mean_by_k) / sd
    sd_by_tails = (0.25 * cosh_2 * second_by - 0.5 * k * q * sinh_2 * second - mean * mean_by_tails) / sd
    return mean, sd, mean_by_k, sd_by_k, mean_by_tails, sd_by_tails


def _factor_and_slope(q: float) -> tuple[float, float]:
    """`moment_factor` of q, and its derivative by log tails, -log q: that of a Bessel function by its order."""
    higher, lower = (moment_factor(q * float(np.exp(step))) for step in (_STEP, -_STEP))
    return moment_factor(q), (lower - higher) / (2.0 * _STEP)
