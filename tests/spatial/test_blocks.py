"""From fine voxels to the grid."""

from __future__ import annotations

import numpy as np
import pytest

from cerebatch.spatial.blocks import majority, shares


def test_majority_takes_the_most_frequent_label_of_each_block() -> None:
    fine = np.zeros((4, 2, 2), dtype=np.uint8)
    fine[:2] = np.array([7, 7, 7, 7, 7, 3, 3, 0]).reshape(2, 2, 2)
    fine[2:] = np.array([0, 0, 0, 0, 0, 9, 9, 9]).reshape(2, 2, 2)
    np.testing.assert_array_equal(majority(fine, 2).ravel(), [7, 0])


def test_majority_gives_ties_to_the_smaller_code() -> None:
    fine = np.array([26, 26, 26, 26, 5, 5, 5, 5], dtype=np.uint8).reshape(2, 2, 2)
    assert majority(fine, 2).item() == 5


def test_majority_equals_a_plain_count() -> None:
    fine = np.random.default_rng(2).integers(0, 27, (12, 8, 16)).astype(np.uint8)
    coarse = majority(fine, 4)
    for index in np.ndindex(coarse.shape):
        block = fine[tuple(slice(4 * i, 4 * i + 4) for i in index)]
        assert coarse[index] == np.bincount(block.ravel()).argmax()


@pytest.mark.parametrize("factor", [2, 4])
def test_shares_equal_a_plain_mean_and_add_up(factor: int) -> None:
    fine = np.random.default_rng(3).integers(0, 8, (8, 12, 16)).astype(np.uint8)
    found = shares(fine, factor, 8)
    for code in range(8):
        for index in np.ndindex(found.shape[1:]):
            block = fine[tuple(slice(factor * i, factor * (i + 1)) for i in index)]
            assert found[(code, *index)] == np.round(255 * np.mean(block == code))
    assert np.abs(found.sum(axis=0, dtype=int) - 255).max() <= 4
