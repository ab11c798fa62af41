"""Skewness and tails of what is left when mean and spread are taken out: the sinh-arcsinh distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from lifespan.arrays import Floats

PARAMETERS = 2
"""More than the normal distribution has."""


@dataclass(frozen=True)
class Shape:
    """X = location + scale sinh((asinh Z + skew) / tails) with Z standard normal.

    Jones and Pewsey, "Sinh-arcsinh distributions", Biometrika 96 (2009), 761-780. X stands for standardised residuals;
    for skew 0 and tails 1 it is normal, skew above 0 leans to large volumes, tails below 1 are heavy.

    Attributes
    ----------
    location, scale, skew, tails : float
        No units; scale and tails are above 0.
    """

    location: float
    scale: float
    skew: float
    tails: float

    def normal_score(self, x: Floats) -> Floats:
        """Z of standardised residuals X: the z-score."""
        w = (x - self.location) / self.scale
        return np.asarray(np.sinh(self.tails * np.arcsinh(w) - self.skew))

    def quantile(self, z: Floats) -> Floats:
        """X of normal scores Z."""
        return np.asarray(self.location + self.scale * np.sinh((np.arcsinh(z) + self.skew) / self.tails))

    def log_density(self, x: Floats) -> Floats:
        """Logarithm of the density of X."""
        w = (x - self.location) / self.scale
        lifted = self.tails * np.arcsinh(w) - self.skew
        # cosh would overflow long before its logarithm does.
        log_cosh = np.logaddexp(lifted, -lifted) - np.log(2.0)
        z = np.sinh(np.clip(lifted, -300.0, 300.0))
        return np.asarray(
            -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + log_cosh + np.log(self.tails / self.scale) - 0.5 * np.log1p(w**2)
        )


def fit_shape(x: Floats) -> Shape | None:
    """Maximum likelihood for standardised residuals; None where BIC prefers the normal distribution.

    Parameters
    ----------
    x : (n,) float
        Residuals over their spread.
    """

    def of(theta: Floats) -> Shape:
        return Shape(float(theta[0]), float(np.exp(theta[1])), float(theta[2]), float(np.exp(theta[3])))

    def loss(theta: Floats) -> float:
        return -float(of(theta).log_density(x).mean())

    bounds = [(-3, 3), (-2, 2), (-2, 2), (-1.2, 1.2)]
    start = np.array([float(x.mean()), float(np.log(x.std())), 0.0, 0.0])
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    normal = 0.5 * np.log(2 * np.pi * x.var()) + 0.5
    gain = 2.0 * len(x) * (normal - float(found.fun))
    return of(found.x) if gain > PARAMETERS * np.log(len(x)) else None
