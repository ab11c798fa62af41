"""Agreement of two segmentations, on shapes whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cerebatch.measures.overlap import dice, dice_by_structure, hausdorff95_mm, largest_piece_share, mean_dice
from cerebatch.spatial.space import Grid

GRID = Grid((30, 30, 30), np.diag([2.0, 1.0, 1.0, 1.0]))


def box(low: int, high: int) -> np.ndarray:
    """A cuboid along the first axis."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[low:high, 10:20, 10:20] = True
    return mask


def test_dice_of_known_shapes() -> None:
    assert dice(box(5, 15), box(5, 15)) == 1
    assert dice(box(5, 15), box(10, 20)) == 0.5
    assert dice(box(5, 10), box(15, 20)) == 0
    assert math.isnan(dice(box(0, 0), box(0, 0)))


def test_dice_by_structure_equals_dice_of_each_mask() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 25, (9, 8, 7)).astype(np.uint8) for _ in range(2))
    found = dice_by_structure(one, other)
    assert found.shape == (26,)
    assert math.isnan(found[25])
    np.testing.assert_allclose(found[:24], [dice(one == code, other == code) for code in range(1, 25)])


def test_the_mean_leaves_out_the_smallest_lobule_and_counts_a_missing_one_as_zero() -> None:
    truth = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    predicted = truth.copy()
    predicted[(truth == 1) | (truth == 14)] = 0
    assert mean_dice(predicted, truth) == 1
    predicted[truth == 2] = 0
    assert mean_dice(predicted, truth) == pytest.approx(23 / 24)


def test_hausdorff_distance_is_in_millimetres_of_the_grid() -> None:
    assert hausdorff95_mm(box(5, 15), box(5, 15), GRID) == 0
    assert hausdorff95_mm(box(5, 15), box(8, 18), GRID) == 6


def test_largest_piece_counts_corners_as_joined() -> None:
    mask = box(5, 10)
    mask[10, 20, 20] = True
    assert largest_piece_share(mask) == 1
    mask[25, 25, 25] = True
    assert largest_piece_share(mask) == pytest.approx(501 / 502)
