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

    (volume - location) / scale, made symmetric by the shape where there is one, has Student's t distribution.

    Attributes
    ----------
    location : (n,) float
        The curve, with the site's shift if one is known; in the unit of the volumes, or its logarithm.
    scale : (n,) float
        Root of the variance of one observation and of the curve's own uncertainty.
    freedom : float or (n,) float
        Degrees of freedom of Student's t.
    shape : Shape or None
        Of these n people: what `Shape.at` gave.
    log_volume : bool
        Whether location and scale are those of the logarithm of the volume.
    """

    location: Floats
    scale: Floats
    freedom: float | Floats
    shape: Shape | None = None
    log_volume: bool = False

    @property
    def curve(self) -> Floats:
        """(n,) the curve in the unit of the volumes; with `log_volume` the geometric mean."""
        return np.asarray(np.exp(self.location)) if self.log_volume else self.location

    def z(self, volume: Floats) -> Floats:
        """(n,) normal scores: the standard normal quantile of each volume's centile."""
        t = self._t(self._standardised(volume))
        lower = special.stdtr(self.freedom, -np.abs(t))
        with np.errstate(divide="ignore"):
            size = -special.ndtri_exp(np.log(lower))
        return np.asarray(np.sign(t) * np.where(np.isfinite(size), size, np.abs(t)))

    def centile(self, volume: Floats) -> Floats:
        """(n,) per cent of people with a smaller volume."""
        return np.asarray(100.0 * special.ndtr(self.z(volume)))

    def quantile(self, share: float | Floats) -> Floats:
        """(n,) volume below which a share of people, 0 to 1, lies; one share, or (n,) of them."""
        t = np.asarray(special.stdtrit(self.freedom, share))
        x = self.location + (t if self.shape is None else self.shape.quantile(t)) * self.scale
        return np.asarray(np.exp(x) if self.log_volume else x)

    def bounds(self, coverage: float = COVERAGE) -> tuple[Floats, Floats]:
        """(n,) lower and upper prediction bound; as many people are expected above as below.

        No volume is below 0, and so is no lower bound.
        """
        tail = (1.0 - coverage) / 2.0
        return np.maximum(self.quantile(tail), 0.0), self.quantile(1.0 - tail)

    def log_density(self, volume: Floats) -> Floats:
        """(n,) logarithm of the predictive density, per unit of the volumes."""
        x = self._standardised(volume)
        t, half = self._t(x), np.asarray(self.freedom) / 2.0
        constant = special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * np.log(2.0 * np.pi * half)
        density = constant - (half + 0.5) * np.log1p(t**2 / self.freedom) - np.log(self.scale)
        if self.shape is not None:
            density = density + self.shape.log_slope(x)
        return np.asarray(density - np.log(volume) if self.log_volume else density)

    def _standardised(self, volume: Floats) -> Floats:
        return np.asarray(((np.log(volume) if self.log_volume else volume) - self.location) / self.scale)

    def _t(self, x: Floats) -> Floats:
        return x if self.shape is None else np.clip(self.shape.normal_score(x), -1e150, 1e150)
