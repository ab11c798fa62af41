"""Which rows belong together: visits of one person, people of one site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from lifespan.arrays import Floats, Ints


class Groups:
    """Which rows belong together.

    Parameters
    ----------
    index : (n,) int
        Group of each row, from 0 without gaps.
    """

    def __init__(self, index: Ints) -> None:
        self.index = index
        self.sizes: Floats = np.bincount(index).astype(np.float64)
        rows = np.arange(len(index))
        self._sum = sparse.csr_matrix((np.ones(len(index)), (index, rows)), shape=(len(self.sizes), len(index)))

    def sums(self, values: Floats) -> Floats:
        """(groups, ...) sum of the rows (n, ...) of each group."""
        if values.ndim == 1:
            return np.asarray(np.bincount(self.index, weights=values, minlength=len(self.sizes)), dtype=np.float64)
        return np.asarray(self._sum @ values)

    def spread_out(self, values: Floats) -> Floats:
        """(n, ...) the value (groups, ...) of each row's group."""
        return np.asarray(values[self.index])


def groups_of(values: Sequence[str]) -> tuple[Groups, tuple[str, ...]]:
    """Groups of rows with the same value, and the values in order."""
    names, index = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
    return Groups(index.astype(np.intp)), tuple(str(name) for name in names)
