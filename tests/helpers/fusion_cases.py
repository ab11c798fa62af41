"""Cases to be fused, and what fusion gives by NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

Cases = tuple[NDArray[np.float32], list[NDArray[np.float32]], list[NDArray[np.uint8]]]

DS = st.sampled_from([0.0, 0.5, 5.0])
CODES = [0, 3, 7, 255]


def voted(
    target: NDArray[np.float32], images: Any, labels: Any, d: float, known: Any = True
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Equation 2 in float32; `known`, broadcast to (N, X, Y, Z), says which cases are there at all."""
    codes_of_cases, known = np.stack(labels), np.broadcast_to(known, np.shape(labels))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(target - np.stack(images))
        weights = 1 / (1 + np.float32(d) * difference)
    weights[~np.isfinite(difference) | ~known] = 0
    codes = np.unique(codes_of_cases)
    sums = np.zeros((len(codes), *target.shape), dtype=np.float32)
    total = np.zeros(target.shape, dtype=np.float32)
    for of_case, weight in zip(codes_of_cases, weights, strict=True):
        sums += np.where(of_case == codes[:, None, None, None], weight, np.float32(0))
        total += weight
    dseg = np.where(total > 0, codes[sums.argmax(axis=0)], 0).astype(np.uint8)
    share = np.divide(sums.max(axis=0), total, out=np.zeros_like(total), where=total > 0)
    agreed = (codes_of_cases == codes_of_cases[0]).all(axis=0) & known.all(axis=0)
    return np.where(agreed, codes_of_cases[0], dseg), np.where(agreed, np.float32(1), share)


def warped(
    images: Any, labels: Any, fields: Any, factor: int
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.uint8]], NDArray[np.bool_]]:
    """The cases at index + displacement in float64: images, labels and where the displacement is finite."""
    shape = images[0].shape
    fine = (np.indices(shape) + 0.5) / factor - 0.5
    warped_images, warped_labels, known = [], [], []
    for image, dseg, field in zip(images, labels, fields, strict=True):
        by = [ndimage.map_coordinates(field[..., c].astype(float), fine, order=1, mode="nearest") for c in range(3)]
        known.append(np.isfinite(by).all(axis=0))
        last = np.array(shape).reshape(3, 1, 1, 1) - 1
        at = np.clip(np.indices(shape) + np.nan_to_num(by, posinf=0, neginf=0), 0, last)
        warped_images.append(ndimage.map_coordinates(image.astype(float), at, order=1, mode="nearest").astype("f4"))
        warped_labels.append(dseg[tuple(np.floor(at + 0.5).astype(int))])
    return warped_images, warped_labels, np.array(known)


def assert_same(found: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)
    assert (found[0].dtype, found[1].dtype) == (np.uint8, np.float32)


@st.composite
def some_cases(draw: st.DrawFn, values: st.SearchStrategy[float], factor: int = 1) -> Cases:
    """A target and 1 to 6 cases on up to 4 x 4 x 4 blocks of `factor` voxels."""
    x, y, z = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4))
    shape, number = (x * factor, y * factor, z * factor), draw(st.integers(1, 6))
    images = draw(hnp.arrays(np.float32, (number + 1, *shape), elements=values))
    labels = draw(hnp.arrays(np.uint8, (number, *shape), elements=st.sampled_from(CODES)))
    return images[0], list(images[1:]), list(labels)


whole_numbers = st.integers(-4, 4).map(float)
any_numbers = st.one_of(whole_numbers, st.floats(width=32), st.sampled_from([np.nan, np.inf, -np.inf]))


def random_cases(number: int, shape: tuple[int, int, int], codes: int = 4) -> Cases:
    rng = np.random.default_rng(number)
    images = rng.normal(size=(number + 1, *shape)).astype(np.float32)
    return images[0], list(images[1:]), list(rng.integers(0, codes, (number, *shape), dtype=np.uint8))


def random_fields(number: int, shape: tuple[int, int, int], voxels: float = 2.0) -> list[NDArray[np.float32]]:
    return list(np.random.default_rng(0).normal(0, voxels, (number, *shape, 3)).astype(np.float32))
