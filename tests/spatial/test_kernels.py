"""The compiled kernels against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch import _kernels
from cerebatch.spatial.space import Grid, resample_labels

IDENTITY = np.eye(4)[:3]
ROUNDING = 1e-9

sources = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5),
    elements=st.sampled_from([0, 1, 2, 26, 255]),
)
target_shapes = st.tuples(*[st.integers(1, 5)] * 3)
any_matrices = hnp.arrays(np.float64, (3, 4), elements=st.floats(-4, 4))
matrices_without_rounding = hnp.arrays(np.int64, (3, 4), elements=st.integers(-24, 24)).map(lambda eighths: eighths / 8)


def shares(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Codes in ascending order, and the share of each in every target voxel, shape (codes, X, Y, Z).

    Every source voxel weighs as much as the product of three hat functions; what is missing to 1 is background.
    """
    points = np.moveaxis(np.indices(target_shape), 0, -1).reshape(-1, 3) @ matrix[:, :3].T + matrix[:, 3]
    x, y, z = (np.maximum(0, 1 - np.abs(points[:, [axis]] - np.arange(n))) for axis, n in enumerate(source.shape))
    codes = np.union1d([0], source).astype(np.uint8)
    found = np.stack([np.einsum("na,nb,nc,abc->n", x, y, z, source == code) for code in codes])
    found[0] = 1 - found[1:].sum(axis=0)
    return codes, found.reshape(-1, *target_shape)


@given(sources, matrices_without_rounding, target_shapes)
@settings(deadline=None)
def test_the_label_with_the_largest_share_wins_and_ties_go_to_the_smaller_code(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int]
) -> None:
    codes, share = shares(source, matrix, target_shape)
    np.testing.assert_array_equal(
        _kernels.resample_labels(source, matrix, target_shape, 1), codes[share.argmax(axis=0)]
    )


@given(sources, any_matrices, target_shapes)
@settings(deadline=None)
def test_no_label_has_a_larger_share_than_the_winner(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int]
) -> None:
    codes, share = shares(source, matrix, target_shape)
    winner = np.searchsorted(codes, _kernels.resample_labels(source, matrix, target_shape, 1))
    won = np.take_along_axis(share, winner[None], axis=0)[0]
    assert (won >= share.max(axis=0) - ROUNDING).all()


@given(sources, any_matrices, target_shapes)
@settings(deadline=None)
def test_the_number_of_threads_does_not_change_a_byte(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], target_shape: tuple[int, int, int]
) -> None:
    one, two, five = (_kernels.resample_labels(source, matrix, target_shape, n).tobytes() for n in (1, 2, 5))
    assert one == two == five


@given(sources)
@settings(deadline=None)
def test_the_identity_changes_nothing(source: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(_kernels.resample_labels(source, IDENTITY, source.shape, 1), source)


def test_halfway_between_two_labels_the_smaller_code_wins() -> None:
    halfway = IDENTITY.copy()
    halfway[0, 3] = 0.5
    for pair in ([7, 3], [3, 7]):
        source = np.array(pair, dtype=np.uint8).reshape(2, 1, 1)
        assert _kernels.resample_labels(source, halfway, (1, 1, 1), 1).item() == 3


def test_half_a_voxel_beyond_the_edge_background_wins_the_tie() -> None:
    source = np.full((2, 2, 2), 5, dtype=np.uint8)
    for offset, expected in ((-0.5, 0), (-0.4375, 5), (1.4375, 5), (1.5, 0)):
        matrix = np.zeros((3, 4))
        matrix[0, 3] = offset
        assert _kernels.resample_labels(source, matrix, (1, 1, 1), 1).item() == expected


def test_two_small_shares_of_one_label_beat_a_larger_one_of_another() -> None:
    source = np.array([[4, 9], [9, 2]], dtype=np.uint8).reshape(2, 2, 1)
    matrix = np.zeros((3, 4))
    matrix[:2, 3] = 0.375  # 4 has 25/64, 9 twice 15/64, 2 has 9/64
    assert _kernels.resample_labels(source, matrix, (1, 1, 1), 1).item() == 9


def test_one_label_everywhere_stays_everywhere_inside() -> None:
    shrunk = np.hstack([np.eye(3) * 0.37, np.full((3, 1), 0.2)])
    source = np.full((4, 4, 4), 26, dtype=np.uint8)
    np.testing.assert_array_equal(_kernels.resample_labels(source, shrunk, (6, 6, 6), 1), 26)


@given(any_matrices, target_shapes)
@settings(deadline=None)
def test_background_stays_background(matrix: NDArray[np.float64], target_shape: tuple[int, int, int]) -> None:
    source = np.zeros((3, 4, 5), dtype=np.uint8)
    assert not _kernels.resample_labels(source, matrix, target_shape, 1).any()


@pytest.mark.parametrize("offset", [-100.0, -1.0, 3.0, 1e300, -np.inf, np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_target_entirely_outside_is_background(axis: int, offset: float) -> None:
    matrix = np.zeros((3, 4))
    matrix[axis, 3] = offset
    source = np.full((3, 3, 3), 8, dtype=np.uint8)
    assert not _kernels.resample_labels(source, matrix, (3, 3, 3), 1).any()


@pytest.mark.parametrize("entry", [(0, 0), (1, 3), (2, 2)])
def test_a_matrix_with_nan_gives_background(entry: tuple[int, int]) -> None:
    matrix = IDENTITY.copy()
    matrix[entry] = np.nan
    source = np.full((3, 3, 3), 8, dtype=np.uint8)
    assert not _kernels.resample_labels(source, matrix, (3, 3, 3), 1).any()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_an_empty_target_is_empty(shape: tuple[int, int, int]) -> None:
    result = _kernels.resample_labels(np.ones((3, 3, 3), dtype=np.uint8), IDENTITY, shape, 2)
    assert result.shape == shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_an_empty_source_is_background(shape: tuple[int, int, int]) -> None:
    result = _kernels.resample_labels(np.zeros(shape, dtype=np.uint8), IDENTITY, (2, 2, 2), 1)
    np.testing.assert_array_equal(result, np.zeros((2, 2, 2)))


@pytest.mark.parametrize("shape", [(), (3,), (3, 3), (3, 3, 3, 1)])
def test_a_source_that_is_not_three_dimensional_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"source: expected 3 dimensions, found {len(shape)}"):
        _kernels.resample_labels(np.zeros(shape, dtype=np.uint8), IDENTITY, (2, 2, 2), 1)


@pytest.mark.parametrize("dtype", [np.int8, np.bool_, np.int16, np.int64, np.float32])
def test_a_source_of_another_type_is_refused_and_not_cut_to_bytes(dtype: Any) -> None:
    with pytest.raises(TypeError):
        _kernels.resample_labels(np.zeros((2, 2, 2), dtype=dtype), IDENTITY, (2, 2, 2), 1)


@pytest.mark.parametrize("shape", [(12,), (4, 4), (3, 3), (4, 3), (1, 3, 4)])
def test_a_matrix_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"matrix: expected shape \(3, 4\)"):
        _kernels.resample_labels(np.zeros((2, 2, 2), dtype=np.uint8), np.zeros(shape), (2, 2, 2), 1)


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 2, 2)])
def test_a_target_that_is_not_three_dimensional_is_refused(shape: Any) -> None:
    with pytest.raises(TypeError):
        _kernels.resample_labels(np.zeros((2, 2, 2), dtype=np.uint8), IDENTITY, shape, 1)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="target_shape: expected no negative length, found -2"):
        _kernels.resample_labels(np.zeros((2, 2, 2), dtype=np.uint8), IDENTITY, (2, -2, 2), 1)


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads: expected at least 1, found {threads}"):
        _kernels.resample_labels(np.zeros((2, 2, 2), dtype=np.uint8), IDENTITY, (2, 2, 2), threads)


@given(sources, st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1, 2])] * 3))
@settings(deadline=None)
def test_a_label_map_that_is_not_contiguous_is_read_as_it_is_indexed(
    source: NDArray[np.uint8], axes: list[int], steps: tuple[int, int, int]
) -> None:
    view = source.transpose(axes)[tuple(slice(None, None, step) for step in steps)]
    x, y, z = view.shape
    grid = Grid((x, y, z), np.eye(4))
    np.testing.assert_array_equal(resample_labels(view, grid, grid, np.eye(4)), view)


def test_the_source_is_not_written_to() -> None:
    source = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    source.flags.writeable = False
    np.testing.assert_array_equal(_kernels.resample_labels(source, IDENTITY, (3, 3, 3), 2), source)
