"""The affine between two maps of the same structures: first by their centroids, then by their overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial import space

SMOOTHING_MM = 2.0
"""Sigma of the structures whose overlap is sought: the width of a fissure."""


def centroids(
    dseg: space.LabelMap, grid: space.Grid, structures: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and size of each structure.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Codes 1 to `structures` are present on `grid`; others are ignored.
    grid : Grid
    structures : int

    Returns
    -------
    centres_mm : (structures, 3) float
        In the grid's frame.
    volumes_mm3 : (structures,) float
    """
    index = np.nonzero(dseg)
    codes, end = dseg[index], structures + 1
    counts = np.bincount(codes, minlength=end)[1:end]
    sums = [np.bincount(codes, weights=axis, minlength=end)[1:end] for axis in index]
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


def fit_similarity(source: NDArray[np.float64], target: NDArray[np.float64], scale: float) -> space.Affine:
    """The rotation and translation that take scaled points to points with the least squared distance (Kabsch 1976).

    Parameters
    ----------
    source, target : (N, 3) float
        At least three pairs that do not lie on one line.
    scale : float

    Returns
    -------
    target_from_source : (4, 4) float
    """
    here, there = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((source - here).T @ (target - there))
    turn = vt.T @ np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))]) @ u.T
    target_from_source = np.eye(4)
    target_from_source[:3, :3] = scale * turn
    target_from_source[:3, 3] = there - scale * turn @ here
    return target_from_source


def overlap_affine(moving: space.LabelMap, fixed: space.LabelMap, grid: space.Grid, structures: int) -> space.Affine:
    """The affine that brings the structures of two maps to overlap, from nearby.

    Gauss-Newton on the squared differences of the smoothed structures, with the mean of both gradients
    for the Jacobian, which widens its reach (Malis 2004, ICRA, 1843-1848).

    Parameters
    ----------
    moving, fixed : (X, Y, Z) uint8
        Codes 1 to `structures` on `grid`, a few millimetres apart; others are ignored.
    grid : Grid
    structures : int

    Returns
    -------
    fixed_from_moving : (4, 4) float
        In the grid's frame.
    """
    x, y, z = ((n + 1) // 2 for n in grid.shape)
    coarse = space.Grid((x, y, z), grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    sources, targets = _smoothed(moving, grid, structures), _smoothed(fixed, grid, structures)
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


def _smoothed(dseg: space.LabelMap, grid: space.Grid, structures: int) -> list[space.Volume]:
    """The structures smoothed, at every second voxel."""
    sigma = SMOOTHING_MM / grid.voxel_sizes_mm
    return [
        ndimage.gaussian_filter((dseg == code).astype(np.float32), sigma)[::2, ::2, ::2]
        for code in range(1, structures + 1)
    ]


def _gradient(image: space.Volume, grid: space.Grid) -> NDArray[np.float32]:
    """Gradient per millimetre of the grid's frame, shape (3, voxels)."""
    per_voxel = np.stack(np.gradient(image)).reshape(3, -1)
    per_mm: NDArray[np.float32] = (np.linalg.inv(grid.affine)[:3, :3].T @ per_voxel).astype(np.float32)
    return per_mm
