"""Visible borders between lobules, on maps of a line of voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cerebatch.measures.borders import visible_share
from cerebatch.spatial.space import Grid

MM = Grid((1, 1, 1), np.diag([0.5, 0.5, 0.5, 1.0]))
V, VI, CORE, RIGHT_V = 4, 5, 13, 17


def share(codes: list[int], white: list[int] | None = None) -> float:
    """Visible share along one line of voxels of 0.5 mm."""
    line = np.array(codes, dtype=np.uint8).reshape(-1, 1, 1)
    tissue = np.array(white or [0] * len(codes), dtype=bool).reshape(-1, 1, 1)
    return visible_share(line, tissue, MM)


def test_lobules_that_touch_in_grey_matter_show_nothing() -> None:
    assert share([V, V, VI, VI]) == 0


def test_a_fissure_shows_the_border() -> None:
    assert share([V, V, 0, VI]) == 1


def test_grey_beside_white_matter_shows_the_border() -> None:
    assert share([V, VI], [1, 0]) == 1
    assert share([V, VI], [1, 1]) == 0


def test_lobules_more_than_a_fissure_apart_share_no_border() -> None:
    assert share([V, *[0] * 6, VI]) == 1
    assert math.isnan(share([V, *[0] * 7, VI]))


def test_neither_the_midline_nor_the_core_is_a_border() -> None:
    assert math.isnan(share([V, RIGHT_V]))
    assert math.isnan(share([V, CORE, VI]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_borders_count_along_every_axis_and_never_across_the_edge(axis: int) -> None:
    codes = np.zeros((3, 3, 3), dtype=np.uint8)
    codes[...] = V
    codes.swapaxes(0, axis)[0] = VI
    codes.swapaxes(0, axis)[0, 0, 0] = 0
    # Eight faces touch; one line has a gap at its end, which is no fissure.
    assert visible_share(codes, np.zeros(codes.shape, dtype=bool), MM) == 0
