"""Figures against manual outlines, on maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from cerebatch.evaluation.outlines import outline_figures, spill_cm3
from cerebatch.evaluation.protocols import read_protocol
from cerebatch.spatial.space import Grid, LabelMap, Volume

MANUAL = read_protocol("manual-outline")
CODE = {region.name: region.number for region in MANUAL.regions}
GRID = Grid((20, 10, 10), np.eye(4))
LEFT_VI, LEFT_WHITE, LEFT_X = 5, 13, 12


@pytest.fixture
def manual() -> LabelMap:
    """Left cortex from x = 2 to 12."""
    found = np.zeros(GRID.shape, dtype=np.uint8)
    found[2:12] = CODE["left cortex"]
    return found


@pytest.fixture
def grey() -> Volume:
    return np.full(GRID.shape, 150.0, dtype=np.float32)


def lobule(start: int, stop: int, code: int = LEFT_VI) -> LabelMap:
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    dseg[start:stop] = code
    return dseg


def test_dark_voxels_inside_the_outline_are_forgiven_whether_we_label_them_or_not(
    manual: LabelMap, grey: Volume
) -> None:
    grey[2:4] = 60.0
    for dseg in (lobule(2, 12), lobule(4, 12)):
        found = outline_figures(dseg, manual, grey, GRID, MANUAL)
        assert found.whole_bright == found.volume_ratio_bright == 1
    assert found.whole == pytest.approx(2 * 8 / 18)
    assert found.volume_ratio == pytest.approx(0.8)
    assert found.missed_cm3 == pytest.approx(0.2)
    assert found.missed_bright_cm3 == 0


def test_dark_voxels_outside_the_outline_are_not_forgiven(manual: LabelMap, grey: Volume) -> None:
    grey[12:] = 20.0
    found = outline_figures(lobule(2, 15), manual, grey, GRID, MANUAL)
    assert found.whole == found.whole_bright == pytest.approx(2 * 10 / 23)
    assert found.volume_ratio == found.volume_ratio_bright == pytest.approx(1.3)
    assert found.beyond_cm3 == pytest.approx(0.3)


def test_folia_are_taken_off_our_white_matter_before_it_is_laid_over_the_manual_core(grey: Volume) -> None:
    grid = Grid((30, 30, 30), np.eye(4))
    manual = np.full(grid.shape, CODE["left cortex"], dtype=np.uint8)
    x, y, z = np.indices(grid.shape) - 15
    ball = x**2 + y**2 + z**2 <= 8**2
    manual[ball] = CODE["left white matter"]
    dseg = np.full(grid.shape, LEFT_VI, dtype=np.uint8)
    dseg[ball] = LEFT_WHITE
    dseg[15, :, :] = LEFT_WHITE
    found = outline_figures(dseg, manual, np.full(grid.shape, 200.0, np.float32), grid, MANUAL)
    assert found.white_ratio > 1.2
    assert found.core > 0.97
    assert found.core_ratio == pytest.approx(1, abs=0.05)


def test_vermis_groups_ask_for_the_lobule_and_not_for_the_side(grey: Volume) -> None:
    manual = np.zeros(GRID.shape, dtype=np.uint8)
    manual[0:10] = CODE["vermis VI-VII"]
    dseg = lobule(0, 4) + lobule(4, 8, 18) + lobule(8, 10, LEFT_X)
    assert outline_figures(dseg, manual, grey, GRID, MANUAL).groups == pytest.approx(0.8)


def test_spill_is_what_lies_further_than_the_distance(manual: LabelMap) -> None:
    dseg = lobule(2, 17) + lobule(17, 18, LEFT_WHITE)
    assert spill_cm3(dseg, manual > 0, GRID, 3.0) == pytest.approx((0.2, 0.1))
    assert spill_cm3(dseg, manual > 0, GRID, 6.0) == (0, 0)
