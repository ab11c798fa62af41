"""Fusion through a space between: fields composed on the way are fields composed before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusion_cases import (
    assert_same,
    random_cases,
    random_fields,
    some_cases,
    voted,
    warped,
    whole_numbers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial.fusion import warp_and_fuse


@pytest.mark.parametrize("factor", [1, 2])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_fields_composed_on_the_way_are_fields_composed_before(factor: int, data: st.DataObject) -> None:
    target, images, labels = data.draw(some_cases(whole_numbers, factor))
    coarse = tuple(n // factor for n in target.shape)
    quarters = hnp.arrays(np.int64, (len(images) + 1, *coarse, 3), elements=st.integers(-12, 12))
    through, *fields = data.draw(quarters).astype(np.float32) / 4
    composed = [_composed(through, field, target.shape, factor) for field in fields]
    # Votes of equal weight: where labels lie is exact, intensities at 2**-8 of a voxel are not.
    at_target = warped(images, labels, composed, 1)
    found = warp_and_fuse(target, images, labels, fields, 0.0, through=through)
    assert_same(found, voted(target, *at_target[:2], 0.0, at_target[2]))


def _composed(through: NDArray[np.float32], field: NDArray[np.float32], shape: tuple[int, ...], factor: int) -> Any:
    """Displacement from each voxel of the target into a case, in float64."""

    def at(points: NDArray[np.float64], values: NDArray[np.float32]) -> NDArray[np.float64]:
        coarse = (points + 0.5) / factor - 0.5
        return np.stack(
            [ndimage.map_coordinates(values[..., c].astype(float), coarse, order=1, mode="nearest") for c in range(3)]
        )

    index = np.indices(shape).astype(float)
    halfway = index + at(index, through)
    return np.moveaxis(halfway + at(halfway, field) - index, 0, -1)


def test_through_a_space_between_intensities_are_those_of_composed_fields() -> None:
    shape = (13, 11, 9)
    cases = random_cases(4, shape)
    through, *fields = random_fields(5, shape, 1.0)
    composed = [_composed(through, field, shape, 1).astype(np.float32) for field in fields]
    found, expected = warp_and_fuse(*cases, fields, 0.5, through=through), warp_and_fuse(*cases, composed, 0.5)
    assert np.mean(found[0] == expected[0]) > 0.99
    same = found[0] == expected[0]
    np.testing.assert_allclose(found[1][same], expected[1][same], atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_where_the_way_between_is_not_finite_nobody_votes(bad: float) -> None:
    shape = (6, 5, 4)
    cases = random_cases(3, shape)
    through = np.zeros((*shape, 3), dtype=np.float32)
    through[2, 3, 1, 1] = bad
    dseg, share = warp_and_fuse(*cases, random_fields(3, shape), 0.5, through=through)
    assert (dseg[2, 3, 1], share[2, 3, 1]) == (0, 0)
    assert np.count_nonzero(share) == share.size - 1
