"""Where volumes stand: centiles, z-scores, bounds and densities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from lifespan.arrays import Floats
from lifespan.models.shape import Shape

COVERAGE = 0.95
"""Share of people inside the bounds."""


@dataclass(frozen=True)
class Prediction:
    """Distribution of one new observation at each of n ages.

    Attributes
    ----------
    location : (n,) float
        The curve, with the site's shift if one is known; in the unit of the volumes.
    scale : (n,) float
        Root of the variance of one observation and of the curve's own uncertainty.
    freedom : float
        Degrees of freedom of Student's t; with a `shape`, that of sinh-arcsinh is used instead.
    shape : Shape or None
    """

    location: Floats
    scale: Floats
    freedom: float
    shape: Shape | None = None

    def z(self, volume: Floats) -> Floats:
        """(n,) normal scores: the standard normal quantile of each volume's centile."""
        x = (volume - self.location) / self.scale
        if self.shape is not None:
            return self.shape.normal_score(x)
        lower = special.stdtr(self.freedom, -np.abs(x))
        with np.errstate(divide="ignore"):
            size = -special.ndtri_exp(np.log(lower))
        return np.asarray(np.sign(x) * np.where(np.isfinite(size), size, np.abs(x)))

    def centile(self, volume: Floats) -> Floats:
        """(n,) per cent of people with a smaller volume."""
        return np.asarray(100.0 * special.ndtr(self.z(volume)))

    def quantile(self, share: float) -> Floats:
        """(n,) volume below which a share of people, 0 to 1, lies."""
        if self.shape is not None:
            x = float(self.shape.quantile(np.array(special.ndtri(share))))
        else:
            x = float(special.stdtrit(self.freedom, share))
        return np.asarray(self.location + x * self.scale)

    def bounds(self, coverage: float = COVERAGE) -> tuple[Floats, Floats]:
        """(n,) lower and upper prediction bound; as many people are expected above as below."""
        tail = (1.0 - coverage) / 2.0
        return self.quantile(tail), self.quantile(1.0 - tail)

    def log_density(self, volume: Floats) -> Floats:
        """(n,) logarithm of the predictive density, per unit of the volumes."""
        x = (volume - self.location) / self.scale
        if self.shape is not None:
            return np.asarray(self.shape.log_density(x) - np.log(self.scale))
        half = self.freedom / 2.0
        constant = special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * np.log(np.pi * self.freedom)
        return np.asarray(constant - (half + 0.5) * np.log1p(x**2 / self.freedom) - np.log(self.scale))
