"""How alike two visits of one person are, by the years between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from lifespan.arrays import Floats
from lifespan.grouping import Groups

_LARGEST = 0.999
_YEARS = (0.5, 200.0)


@dataclass(frozen=True)
class VisitCorrelation:
    """corr(years) = at_once exp(-years / fading).

    What is below 1 of `at_once` is error of measurement; people also grow apart with time.

    Attributes
    ----------
    at_once : float
        0 to below 1.
    fading : float or None
        Years; None where no fading was found.
    """

    at_once: float
    fading: float | None = None

    def at(self, years: Floats) -> Floats:
        """(n,) correlation of visits so many years (n,) apart."""
        return np.asarray(self.at_once * (np.exp(-years / self.fading) if self.fading else np.ones_like(years)))

    def to_json(self) -> dict[str, Any]:
        return {"at_once": self.at_once, "fading_years": self.fading}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> VisitCorrelation:
        return cls(float(content["at_once"]), content["fading_years"])


def fit_correlation(z: Floats, age: Floats, persons: Groups) -> VisitCorrelation | None:
    """Largest pairwise likelihood of normal scores; fading only where it lowers BIC. None without repeats.

    A person of k visits has k (k - 1) / 2 pairs, and weighs as much as k - 1 of them.

    Parameters
    ----------
    z : (n,) float
        Normal scores.
    age : (n,) float
        Years.
    persons : Groups
    """
    first, second, weight = _pairs(age, persons)
    if not len(first):
        return None
    score = z / np.sqrt(np.mean(z**2))
    a, b, years = score[first], score[second], np.abs(age[second] - age[first])
    squares, product = a**2 + b**2, a * b

    def loss(theta: Floats) -> float:
        fading = float(np.exp(theta[1])) if len(theta) > 1 else None
        rho = VisitCorrelation(float(_LARGEST / (1.0 + np.exp(-theta[0]))), fading).at(years)
        left = 1.0 - rho**2
        return float((weight * (np.log(left) + (squares - 2.0 * rho * product) / left)).sum())

    same = optimize.minimize(loss, [1.0], method="L-BFGS-B", bounds=[(-7.0, 7.0)])
    at_once = float(_LARGEST / (1.0 + np.exp(-same.x[0])))
    people = len(np.unique(persons.index[first]))
    if float(np.ptp(years)) == 0.0:
        return VisitCorrelation(at_once)
    bounds = [(-7.0, 7.0), tuple(np.log(_YEARS))]
    faded = optimize.minimize(loss, [float(same.x[0]), np.log(20.0)], method="L-BFGS-B", bounds=bounds)
    if faded.fun + np.log(people) >= same.fun:
        return VisitCorrelation(at_once)
    return VisitCorrelation(float(_LARGEST / (1.0 + np.exp(-faded.x[0]))), float(np.exp(faded.x[1])))


def _pairs(age: Floats, persons: Groups) -> tuple[np.ndarray, np.ndarray, Floats]:
    """Rows of each pair of visits, the earlier first, and its weight."""
    order = np.lexsort([age, persons.index])
    who = persons.index[order]
    first, second = [], []
    for apart in range(1, int(persons.sizes.max())):
        here = np.flatnonzero(who[apart:] == who[:-apart])
        first.append(order[here])
        second.append(order[here + apart])
    if not first:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0)
    one = np.concatenate(first)
    return one, np.concatenate(second), 2.0 / persons.sizes[persons.index[one]]
