"""Stride decomposition: eight interleaved volumes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from cerebatch.spatial import space, stride

half_sides = st.tuples(*[st.integers(1, 5)] * 3)
dtypes = st.one_of(
    npst.boolean_dtypes(), npst.unsigned_integer_dtypes(), npst.integer_dtypes(), npst.floating_dtypes()
)  # fmt: skip


@st.composite
def volumes(draw: st.DrawFn) -> NDArray[np.generic]:
    x, y, z = draw(half_sides)
    return draw(npst.arrays(draw(dtypes), (2 * x, 2 * y, 2 * z)))


@st.composite
def sets_of_parts(draw: st.DrawFn) -> NDArray[np.generic]:
    return draw(npst.arrays(draw(dtypes), (8, *draw(half_sides))))


@given(volumes())
def test_a_volume_comes_back_bit_for_bit(volume: NDArray[np.generic]) -> None:
    again = stride.compose(stride.decompose(volume))
    assert again.dtype == volume.dtype
    assert again.tobytes() == volume.tobytes()


@given(sets_of_parts())
def test_parts_come_back_bit_for_bit(parts: NDArray[np.generic]) -> None:
    assert stride.decompose(stride.compose(parts)).tobytes() == parts.tobytes()


def test_the_last_axis_changes_fastest_in_the_order_of_the_parts() -> None:
    cube = np.arange(8).reshape(2, 2, 2)
    np.testing.assert_array_equal(stride.decompose(cube).ravel(), np.arange(8))
    assert stride.OFFSETS[:3] == ((0, 0, 0), (0, 0, 1), (0, 1, 0))


def test_every_voxel_keeps_its_millimetres() -> None:
    grid = space.Grid((6, 4, 8), np.array([[-0.5, 0.1, 0, 9], [0, 0.6, 0.2, -3], [0.1, 0, 0.4, 5], [0, 0, 0, 1.0]]))
    points_mm = space.apply(grid.affine, np.indices(grid.shape).reshape(3, -1).T.astype(np.float64))
    for part, part_grid in enumerate(stride.grids(grid)):
        index = np.indices(part_grid.shape).reshape(3, -1).T.astype(np.float64)
        expected = np.stack([stride.decompose(points_mm[:, i].reshape(grid.shape))[part] for i in range(3)], axis=-1)
        np.testing.assert_allclose(space.apply(part_grid.affine, index), expected.reshape(-1, 3), atol=1e-12)


def test_the_fine_box_holds_eight_boxes_of_one_millimetre_half_a_voxel_apart() -> None:
    coarse = space.cerebellum_box(1.0)
    for offset, grid in zip(stride.OFFSETS, stride.grids(space.cerebellum_box(0.5)), strict=True):
        assert grid.shape == coarse.shape
        shift_mm = grid.affine - coarse.affine
        np.testing.assert_allclose(shift_mm[:3, 3], 0.5 * np.array(offset) - 0.25)
        np.testing.assert_allclose(shift_mm[:, :3], 0)


@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 4, 5), (4, 4)])
def test_odd_sides_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="three even sides"):
        stride.decompose(np.zeros(shape))


def test_a_grid_with_an_odd_side_is_refused() -> None:
    with pytest.raises(ValueError, match="three even sides"):
        stride.grids(space.Grid((4, 5, 4), np.eye(4)))


@pytest.mark.parametrize("shape", [(7, 2, 2, 2), (8, 2, 2)])
def test_other_than_eight_parts_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(8, X/2"):
        stride.compose(np.zeros(shape))
