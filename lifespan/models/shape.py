"""Skewness and tails of what is left when mean and spread are taken out: the sinh-arcsinh distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

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


def _moments(skew: float | Floats, tails: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of sinh((asinh Z + skew) / tails): p. 764 of Jones and Pewsey."""
    first, second = moment_factor(1.0 / tails), moment_factor(2.0 / tails)
    mean = np.sinh(skew / tails) * first
    return np.asarray(mean), np.sqrt(0.5 * (np.cosh(2.0 * skew / tails) * second - 1.0) - mean**2)


def moment_factor(q: float) -> float:
    """P_q of Jones and Pewsey: the mean of cosh(q asinh Z)."""
    bessel = special.kv((q + 1.0) / 2.0, 0.25) + special.kv((q - 1.0) / 2.0, 0.25)
    return float(np.exp(0.25) / np.sqrt(8.0 * np.pi) * bessel)
