"""The affine between two maps of the shared structures: first by their centroids, then by their overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import space
from cerebatch.library.suit import FISSURE_MM, WHITE_MATTER


def centroids(merged: space.LabelMap, grid: space.Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and size of each structure of `suit.SHARED`.

    Parameters
    ----------
    merged : (X, Y, Z) uint8
        Codes of `suit.SHARED` on `grid`, each of them present.
    grid : Grid

    Returns
    -------
    centres_mm : (20, 3) float
        In the grid's frame.
    volumes_mm3 : (20,) float
    """
    index = np.nonzero(merged)
    codes = merged[index]
    counts = np.bincount(codes, minlength=WHITE_MATTER)[1:WHITE_MATTER]
    sums = [np.bincount(codes, weights=axis, minlength=WHITE_MATTER)[1:WHITE_MATTER] for axis in index]
    centres_mm = space.apply(grid.affine, np.stack(sums, axis=1) / counts[:, None])
    return centres_mm, counts * np.float64(grid.voxel_volume_mm3)


def fit_affine(source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]) -> space.Affine:
    """The affine that takes points to points with the least weighted squared distance.

    Parameters
    ----------
    source, target : (N, 3) float
        At least four pairs that do not lie in one plane.
    weights : (N,) float
        Weight of each squared distance.

    Returns
    -------
    target_from_source : (4, 4) float
    """
    root = np.sqrt(weights)[:, None]
    design = np.column_stack([source, np.ones(len(source))])
    solution, *_ = np.linalg.lstsq(design * root, target * root, rcond=None)
    target_from_source = np.eye(4)
    target_from_source[:3] = solution.T
    return target_from_source


def overlap_affine(moving: space.LabelMap, fixed: space.LabelMap, grid: space.Grid) -> space.Affine:
    """The affine that brings the shared structures of two maps to overlap, from nearby.

    Gauss-Newton on the squared differences of the smoothed structures, with the mean of both gradients
    for the Jacobian, which widens its reach (Malis 2004, ICRA, 1843-1848).

    Parameters
    ----------
    moving, fixed : (X, Y, Z) uint8
        Codes of `suit.SHARED` on `grid`, a few millimetres apart.
    grid : Grid

    Returns
    -------
    fixed_from_moving : (4, 4) float
        In the grid's frame.
    """
    x, y, z = ((n + 1) // 2 for n in grid.shape)
    coarse = space.Grid((x, y, z), grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    sources, targets = _smoothed(moving, grid), _smoothed(fixed, grid)
    slopes = [_gradient(target, coarse) for target in targets]
    points = space.apply(coarse.affine, np.indices(coarse.shape).reshape(3, -1).T.astype(np.float64))
    homogeneous = np.column_stack([points, np.ones(len(points))]).T
    corners_mm = coarse.corners_mm()

    moving_from_fixed = np.eye(4)
    for _ in range(10):
        normal, right = np.zeros((12, 12)), np.zeros(12)
        for source, target, slope in zip(sources, targets, slopes, strict=True):
            warped = space.resample(source, coarse, coarse, moving_from_fixed, order=1)
            gradient = (_gradient(warped, coarse) + slope) / 2
            seen = np.abs(gradient).sum(axis=0) > 1e-4
            jacobian = (gradient[:, None, seen] * homogeneous[:, seen]).reshape(12, -1)
            normal += jacobian @ jacobian.T
            right += jacobian @ (target - warped).ravel()[seen]
        step = np.eye(4)
        step[:3] += np.linalg.solve(normal, right).reshape(3, 4)
        moving_from_fixed = moving_from_fixed @ step
        if np.abs(space.apply(step, corners_mm) - corners_mm).max() < 0.01:
            break
    return space.inverse(moving_from_fixed)


def _smoothed(merged: space.LabelMap, grid: space.Grid) -> list[space.Volume]:
    """Structures of `suit.SHARED`, smoothed by the width of a fissure, at every second voxel."""
    sigma = FISSURE_MM / grid.voxel_sizes_mm
    return [
        ndimage.gaussian_filter((merged == code).astype(np.float32), sigma)[::2, ::2, ::2]
        for code in range(1, WHITE_MATTER)
    ]


def _gradient(image: space.Volume, grid: space.Grid) -> NDArray[np.float32]:
    """Gradient per millimetre of the grid's frame, shape (3, voxels)."""
    per_voxel = np.stack(np.gradient(image)).reshape(3, -1)
    per_mm: NDArray[np.float32] = (np.linalg.inv(grid.affine)[:3, :3].T @ per_voxel).astype(np.float32)
    return per_mm
