"""How spread changes with age: the logarithm of the standard deviation as a polynomial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis

MOST_DEGREES = 3


@dataclass(frozen=True)
class Spread:
    """log sd(age) = sum_k c_k t^k with the scaled age t of `AgeBasis`.

    Attributes
    ----------
    basis : AgeBasis
    coefficients : (degree + 1,) float
        Of degree 0 where spread does not change.
    """

    basis: AgeBasis
    coefficients: Floats

    def sd(self, age: Floats) -> Floats:
        """(n,) standard deviation at ages (n,) in years, in the unit of the volumes."""
        # Outside the fitted ages the spread stays what it is at their end: a polynomial of logarithms explodes.
        inside = np.clip(age, self.basis.centre - self.basis.half, self.basis.centre + self.basis.half)
        powers = self.basis.powers(inside, len(self.coefficients) - 1)
        return np.asarray(np.exp(powers @ self.coefficients))
