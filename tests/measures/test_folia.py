"""Core and folia of white matter, on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from cerebatch.measures.folia import white_core, with_folia
from cerebatch.spatial.space import Grid, LabelMap

GRID = Grid((40, 40, 40), np.eye(4))
LEFT_VI, LEFT_IX, LEFT_WHITE, RIGHT_VI, RIGHT_WHITE = 5, 11, 13, 18, 26


@pytest.fixture
def tree() -> LabelMap:
    """A ball of left white matter with a sheet of 2 mm on it that runs through VI above and IX below."""
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    dseg[4:36, 4:36, 20:36] = LEFT_VI
    dseg[4:36, 4:36, 4:20] = LEFT_IX
    dseg[19:21, 4:36, 4:36] = LEFT_WHITE
    x, y, z = np.indices(GRID.shape) - 19.5
    dseg[x**2 + y**2 + z**2 <= 8**2] = LEFT_WHITE
    return dseg


def test_an_opening_leaves_the_ball_and_takes_the_sheet(tree: LabelMap) -> None:
    core = white_core(tree, GRID)
    x, y, z = np.indices(GRID.shape) - 19.5
    away = np.sqrt(x**2 + y**2 + z**2)
    assert core[away <= 6.5].all()
    assert not core[away > 9].any()
    assert np.array_equal(white_core(tree, GRID, 0.0), tree == LEFT_WHITE)


def test_folia_go_to_the_nearest_lobule_and_nothing_else_changes(tree: LabelMap) -> None:
    found = with_folia(tree, GRID)
    assert found[20, 8, 30] == LEFT_VI
    assert found[20, 8, 10] == LEFT_IX
    assert found[20, 20, 20] == LEFT_WHITE
    assert np.array_equal((found == LEFT_WHITE), white_core(tree, GRID))
    assert np.array_equal(found[tree != LEFT_WHITE], tree[tree != LEFT_WHITE])


def test_folia_stay_on_their_side() -> None:
    dseg = np.zeros((20, 5, 5), dtype=np.uint8)
    dseg[0:4], dseg[4:9], dseg[9:11], dseg[11:] = LEFT_VI, LEFT_WHITE, RIGHT_WHITE, RIGHT_VI
    found = with_folia(dseg, Grid((20, 5, 5), np.eye(4)))
    assert set(np.unique(found[:9])) == {LEFT_VI}
    assert set(np.unique(found[9:])) == {RIGHT_VI}


def test_a_map_without_white_matter_or_lobules_stays_as_it_is() -> None:
    grid = Grid((8, 8, 8), np.eye(4))
    for code in (LEFT_VI, LEFT_WHITE):
        dseg = np.zeros((8, 8, 8), dtype=np.uint8)
        dseg[3:5, 3:5, 3:5] = code
        assert np.array_equal(with_folia(dseg, grid), dseg)
