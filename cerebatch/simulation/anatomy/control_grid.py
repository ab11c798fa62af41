"""Smooth fields on fine grids, from a few values: computed every few voxels and interpolated linearly between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import Affine, apply

Points = NDArray[np.float64]
Function = Callable[[Points], Points]
"""Values (N, C) at points (N, 3)."""


def over(
    shape: tuple[int, int, int], affine: Affine, function: Function, step: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Values of a smooth function at all voxel centres of a grid.

    Parameters
    ----------
    shape : (3,) tuple of int
        Of the grid.
    affine : (4, 4) float
        Voxel indices -> the points that the function takes.
    function : callable
    step : (3,) tuple of int
        Voxels between the places where the function is computed.

    Returns
    -------
    values : (C, X, Y, Z) float32
    """
    counts = [-(-(n - 1) // s) + 1 for n, s in zip(shape, step, strict=True)]
    index = np.indices(counts).reshape(3, -1).T.astype(np.float64) * step
    values = function(apply(affine, index)).T.reshape(-1, *counts).astype(np.float32)
    for axis, (n, s) in enumerate(zip(shape, step, strict=True), start=1):
        values = _between(values, axis, n, s)
    return values


def _between(values: NDArray[np.float32], axis: int, n: int, step: int) -> NDArray[np.float32]:
    """Linear interpolation along an axis. No matrix product: its sums depend on the number of threads."""
    if step == 1:
        return values
    whole, part = np.divmod(np.arange(n), step)
    shape = [1] * values.ndim
    shape[axis] = n
    weight = (part / np.float32(step)).astype(np.float32).reshape(shape)
    low = values.take(whole, axis)
    result: NDArray[np.float32] = values.take(np.minimum(whole + 1, values.shape[axis] - 1), axis)
    result -= low
    result *= weight
    result += low
    return result
