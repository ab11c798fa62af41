"""How spread changes with age: the logarithm of the standard deviation as a polynomial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis

MOST_DEGREES = 3

SpreadForm = tuple[int, bool]
"""Degree of the polynomial, and whether it is one of log(age + 0.75)."""

CONSTANT_SPREAD: tuple[SpreadForm, ...] = ((0, False),)
SPREAD_FORMS: tuple[SpreadForm, ...] = (
    *CONSTANT_SPREAD,
    *((degree, log_age) for degree in range(1, MOST_DEGREES + 1) for log_age in (False, True)),
)
"""What is tried where spread may change with age."""


@dataclass(frozen=True)
class Spread:
    """log sd(age) = sum_k c_k t^k with the scaled age t of `AgeBasis`, in years or in log(age + 0.75).

    Attributes
    ----------
    basis : AgeBasis
    coefficients : (degree + 1,) float
        Of degree 0 where spread does not change.
    log_age : bool
        Which of the two scales.
    """

    basis: AgeBasis
    coefficients: Floats
    log_age: bool = False

    def sd(self, age: Floats) -> Floats:
        """(n,) standard deviation at ages (n,) in years, in the unit of the volumes."""
        # Outside the fitted ages the spread stays what it is at their end: a polynomial of logarithms explodes.
        inside = np.clip(age, self.basis.centre - self.basis.half, self.basis.centre + self.basis.half)
        powers = self.basis.powers(inside, len(self.coefficients) - 1, self.log_age)
        return np.asarray(np.exp(powers @ self.coefficients))
