"""Paired differences: Wilcoxon's signed ranks, and the shift (Hodges-Lehmann) that belongs to their p-value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from lifespan.arrays import Floats

_LEVEL = 0.95
_HALVINGS = 80


@dataclass(frozen=True)
class Shift:
    """By how much paired differences lie off zero.

    Attributes
    ----------
    size : float
        Median of the means of all pairs of differences (Hodges and Lehmann, Annals of Mathematical Statistics 34, 1963,
        598-611), in the unit of the differences.
    low, high : float
        Its 95% interval: the shifts that the signed-rank test does not reject.
    p : float
        Two-sided p-value of the signed-rank test.
    """

    size: float
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, differences: Floats) -> Shift:
        """Shift and p-value of differences (n,)."""
        from scipy.stats import wilcoxon

        n = len(differences)
        pairs = n * (n + 1) / 2.0
        p = float(wilcoxon(differences, alternative="two-sided").pvalue) if np.any(differences) else 1.0
        off = float(special.ndtri(0.5 + _LEVEL / 2)) * np.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
        ordered = np.sort(differences)
        size, low, high = (_walsh(ordered, rank) for rank in (pairs / 2.0, pairs / 2.0 - off, pairs / 2.0 + off))
        return cls(size, low, high, p)


def _walsh(ordered: Floats, rank: float) -> float:
    """The mean of two differences that has `rank` of all such means, each with itself included, below it.

    All n (n + 1) / 2 means of 10,000 people would fill a gigabyte; counting them needs sorted differences alone.
    """
    low, high = float(ordered[0]), float(ordered[-1])
    places = np.arange(len(ordered))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        # Pairs i <= j of which the mean is below the middle, and half of those on it.
        below, upto = (
            np.maximum(np.searchsorted(ordered, 2.0 * middle - ordered, side) - places, 0).sum()
            for side in ("left", "right")
        )
        if (below + upto) / 2.0 < rank:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
