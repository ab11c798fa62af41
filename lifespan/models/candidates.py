"""The six candidate curves of volume against age, and the constant one they are tested against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """One form of a curve: b0 + b1 age + ... + bd age^d [ + g (1 - exp(-age / tau)) ].

    The set of six is that of Coupé, Catheline, Lanuza and Manjón (Human Brain Mapping 38, 2017, 5501-5518), as told
    in the project's notes on that paper.

    Attributes
    ----------
    name : str
    degree : int
        d, the degree of the polynomial in age.
    growth : bool
        Whether the term that saturates is there; tau is in years.
    """

    name: str
    degree: int
    growth: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients; tau is not among them."""
        return tuple(f"b{power}" for power in range(self.degree + 1)) + (("g",) if self.growth else ())

    @property
    def parameters(self) -> int:
        """How many parameters describe the mean, tau counted as one."""
        return self.degree + 1 + 2 * self.growth


CONSTANT = Candidate("constant", 0, False)
CANDIDATES = (
    Candidate("linear", 1, False),
    Candidate("quadratic", 2, False),
    Candidate("cubic", 3, False),
    Candidate("linear + growth", 1, True),
    Candidate("quadratic + growth", 2, True),
    Candidate("cubic + growth", 3, True),
)
BY_NAME = {candidate.name: candidate for candidate in (CONSTANT, *CANDIDATES)}
