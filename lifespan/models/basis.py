"""Columns that stand for age: scaled powers and scaled decay, and the way back to coefficients in years."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.candidates import Candidate

_WIDEST_GROWTH = 30.0
"""Largest youngest age over tau: beyond it exp(age / tau) leaves nothing of a coefficient's digits."""

LOG_OFFSET = 0.75
"""Years from conception to birth: log(age + 0.75) spreads childhood out, and birth lies at a finite place."""

_FEW = 10
"""The growth term has to tell at least so many of the youngest people from the rest."""


@dataclass(frozen=True)
class AgeBasis:
    """Scales of the columns, so that no sum of powers of years loses digits.

    Inside the package a curve is sum_k c_k t^k + e h with t = (age - centre) / half and
    h = exp(-(age - youngest) / tau). It is the same curve as b0 + ... + g (1 - exp(-age / tau)).

    Attributes
    ----------
    centre, half : float
        Middle and half width of the range of ages, years.
    youngest : float
        Years.
    """

    centre: float
    half: float
    youngest: float

    @classmethod
    def of(cls, age: Floats) -> AgeBasis:
        """The basis of some people's ages (n,), years; they must not all be the same."""
        low, high = float(age.min()), float(age.max())
        return cls((low + high) / 2.0, (high - low) / 2.0, low)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> AgeBasis:
        return cls(float(content["centre"]), float(content["half"]), float(content["youngest"]))

    def scaled(self, age: Floats, log_age: bool = False) -> Floats:
        """(n,) ages from -1 at the youngest to 1 at the oldest; with `log_age` evenly in log(age + 0.75)."""
        if not log_age:
            return np.asarray((age - self.centre) / self.half)
        low, high = (np.log(end + LOG_OFFSET) for end in (self.centre - self.half, self.centre + self.half))
        return np.asarray((2.0 * np.log(age + LOG_OFFSET) - high - low) / (high - low))

    def powers(self, age: Floats, degree: int, log_age: bool = False) -> Floats:
        """(n, degree + 1) powers of the scaled age."""
        return np.asarray(np.vander(self.scaled(age, log_age), degree + 1, increasing=True), dtype=np.float64)

    def decay(self, age: Floats, tau: Floats) -> Floats:
        """(n, len(tau)) h of ages (n,) for each tau, years; 1 at the youngest age."""
        return np.asarray(np.exp(-(age - self.youngest)[:, None] / tau[None, :]))

    def jacobian(self, age: Floats, candidate: Candidate, decay_size: float, tau: float) -> Floats:
        """(n, parameters) derivatives of the curve by c_0 ... c_d, e and tau.

        Parameters
        ----------
        age : (n,) float
            Years.
        candidate : Candidate
        decay_size : float
            e; nothing where the candidate has no growth.
        tau : float
            Years.
        """
        powers = self.powers(age, candidate.degree)
        if not candidate.growth:
            return powers
        h = self.decay(age, np.array([tau]))[:, 0]
        slope = decay_size * h * (age - self.youngest) / tau**2
        return np.column_stack([powers, h, slope])

    def in_years(self, degree: int) -> Floats:
        """(degree + 1, degree + 1) matrix from coefficients of powers of t to those of powers of age in years."""
        matrix = np.zeros((degree + 1, degree + 1))
        for k in range(degree + 1):
            for j in range(k + 1):
                matrix[j, k] = comb(k, j) * (-self.centre) ** (k - j) / self.half**k
        return matrix

    def tau_range(self, age: Floats) -> tuple[float, float]:
        """Limits of the search for tau, years.

        Below the lower one the term would only set the few youngest apart; above the upper one, the range of ages, it
        cannot be told from a polynomial.
        """
        ordered = np.sort(age)
        tenth = float(ordered[min(_FEW, len(ordered)) - 1])
        oldest = float(ordered[-1])
        low = max(0.1, (tenth - self.youngest) / 3.0, self.youngest / _WIDEST_GROWTH)
        return low, max(oldest - self.youngest, 2.0 * low)
