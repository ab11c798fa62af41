"""Closing fissures, on shapes whose truth is known."""

from __future__ import annotations

import numpy as np

from cerebatch.measures.morphology import closed
from cerebatch.measures.overlap import dice
from cerebatch.spatial.space import Grid

GRID = Grid((30, 30, 30), np.diag([2.0, 1.0, 1.0, 1.0]))


def test_closing_fills_a_fissure_and_keeps_the_outline() -> None:
    whole = np.zeros(GRID.shape, dtype=bool)
    whole[5:15, 10:20, 10:20] = True
    cut = whole.copy()
    cut[:, 14:16, 12:] = False
    assert dice(closed(cut, GRID), whole) > 0.97
    np.testing.assert_array_equal(closed(whole, GRID), whole)


def test_closing_at_the_edge_of_the_grid_keeps_the_mask() -> None:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[:5] = True
    np.testing.assert_array_equal(closed(mask, GRID), mask)
