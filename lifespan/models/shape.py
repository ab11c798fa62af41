"""Skewness and tails of what is left when mean and spread are taken out: the sinh-arcsinh distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, special

from lifespan.arrays import Floats

PARAMETERS = 2
"""More than the normal distribution has."""


@dataclass(frozen=True)
class Shape:
    """X = location + scale S, S = sinh((asinh Z + skew) / tails) less its mean over its standard deviation, Z normal.

    Jones and Pewsey, "Sinh-arcsinh distributions", Biometrika 96 (2009), 761-780. X stands for standardised residuals;
    for skew 0 and tails 1 it is normal, skew above 0 leans to large volumes, tails below 1 are heavy. As S has mean 0
    and variance 1 whatever the skew, skew may change with age and leave the curve and the spread what they are.

    Attributes
    ----------
    location, scale : float
        No units; scale is above 0.
    skew : float or (n,) float
        In the middle of the fitted ages; after `at` that of each person.
    tails : float
        Above 0.
    skew_slope : float
        Change of skew from the middle of the fitted ages to their end.
    """

    location: float
    scale: float
    skew: float | Floats
    tails: float
    skew_slope: float = 0.0

    def at(self, t: Floats) -> Shape:
        """The shape of people of scaled ages t (n,) of `AgeBasis`; beyond the fitted ages that of their end."""
        if self.skew_slope == 0.0:
            return self
        return replace(self, skew=self.skew + self.skew_slope * np.clip(t, -1.0, 1.0), skew_slope=0.0)

    def normal_score(self, x: Floats) -> Floats:
        """Z of standardised residuals X: the z-score."""
        mean, sd = _moments(self.skew, self.tails)
        w = mean + sd * (x - self.location) / self.scale
        return np.asarray(np.sinh(self.tails * np.arcsinh(w) - self.skew))

    def quantile(self, z: Floats) -> Floats:
        """X of normal scores Z."""
        mean, sd = _moments(self.skew, self.tails)
        s = (np.sinh((np.arcsinh(z) + self.skew) / self.tails) - mean) / sd
        return np.asarray(self.location + self.scale * s)

    def log_slope(self, x: Floats) -> Floats:
        """Logarithm of dZ / dX."""
        mean, sd = _moments(self.skew, self.tails)
        w = mean + sd * (x - self.location) / self.scale
        lifted = self.tails * np.arcsinh(w) - self.skew
        # cosh would overflow long before its logarithm does.
        log_cosh = np.logaddexp(lifted, -lifted) - np.log(2.0)
        return np.asarray(log_cosh + np.log(self.tails * sd / self.scale) - 0.5 * np.log1p(w**2))

    def log_density(self, x: Floats) -> Floats:
        """Logarithm of the density of X."""
        z = np.clip(self.normal_score(x), -1e150, 1e150)
        return np.asarray(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) + self.log_slope(x))

    def to_json(self) -> dict[str, Any]:
        return vars(self)

    @classmethod
    def from_json(cls, content: dict[str, Any], version: int) -> Shape:
        """Of version 1 S was neither centred nor scaled."""
        if version > 1:
            return cls(**content)
        mean, sd = _moments(content["skew"], content["tails"])
        location, scale = content["location"], content["scale"]
        return cls(location + scale * float(mean), scale * float(sd), content["skew"], content["tails"])


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
        found, loss = _most_likely(x, t, start, sloped)
        bic = 2.0 * len(x) * loss + (PARAMETERS + sloped) * np.log(len(x))
        if bic < best_bic:
            best, best_bic = found, bic
        start = np.array([found.location, np.log(found.scale), found.skew, np.log(found.tails), 0.0])
    return best


def _most_likely(x: Floats, t: Floats | None, start: Floats, sloped: bool) -> tuple[Shape, float]:
    """The shape, and minus its mean logarithmic density."""

    def of(theta: Floats) -> Shape:
        location, log_scale, skew, log_tails, slope = map(float, theta)
        return Shape(location, float(np.exp(log_scale)), skew, float(np.exp(log_tails)), slope)

    def loss(theta: Floats) -> float:
        shape = of(theta)
        return -float((shape.at(t) if t is not None else shape).log_density(x).mean())

    slopes = (-1.5, 1.5) if sloped else (0.0, 0.0)
    bounds = [(-3, 3), (-2, 2), (-2, 2), (-1.2, 1.2), slopes]
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return of(found.x), float(found.fun)


def _moments(skew: float | Floats, tails: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of sinh((asinh Z + skew) / tails): p. 764 of Jones and Pewsey."""
    first, second = _power(1.0 / tails), _power(2.0 / tails)
    mean = np.sinh(skew / tails) * first
    return np.asarray(mean), np.sqrt(0.5 * (np.cosh(2.0 * skew / tails) * second - 1.0) - mean**2)


def _power(q: float) -> float:
    """P_q of Jones and Pewsey."""
    bessel = special.kv((q + 1.0) / 2.0, 0.25) + special.kv((q - 1.0) / 2.0, 0.25)
    return float(np.exp(0.25) / np.sqrt(8.0 * np.pi) * bessel)
