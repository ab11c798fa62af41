"""Scans on larger voxels: by means of whole blocks, which costs little, or smoothed to any size."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cerebatch.spatial.space import Grid, Volume, resample


def reduced(image: Volume, grid: Grid, voxel_mm: float) -> tuple[Volume, Grid]:
    """Means of whole blocks of voxels, as large as fit into `voxel_mm`; what a block at the far end lacks is cut away.

    Costs one pass through the scan and no memory of its size, where a smoothing would cost several.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
    voxel_mm : float
        Largest edge of the new voxels; axes with longer ones stay.
    """
    factors = [max(1, int(voxel_mm / size + 1e-3)) for size in grid.voxel_sizes_mm]
    if factors == [1, 1, 1]:
        return image, grid
    x, y, z = (n // f for n, f in zip(grid.shape, factors, strict=True))
    a, b, c = factors
    small = np.empty((x, y, z), dtype=np.float32)
    for slab in range(x):  # a copy of a slab instead of one of the scan
        block = image[slab * a : (slab + 1) * a, : y * b, : z * c]
        small[slab] = block.reshape(a, y, b, z, c).mean(axis=(0, 2, 4))
    step = np.diag([*map(float, factors), 1.0])
    step[:3, 3] = [(f - 1) / 2 for f in factors]
    return small, Grid((x, y, z), grid.affine @ step)


def coarsened(image: Volume, grid: Grid, voxel_mm: float) -> tuple[Volume, Grid]:
    """The image smoothed and sampled on larger voxels; axes that are as coarse already stay.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
    voxel_mm : float
        Edge of the new voxels.
    """
    factor = np.maximum(voxel_mm / grid.voxel_sizes_mm, 1.0)
    width = np.where(factor > 1.0, factor / 2.355, 0.0)  # full width at half maximum of one new voxel
    smooth = ndimage.gaussian_filter(image, width)
    x, y, z = (int(np.ceil(n / f)) for n, f in zip(grid.shape, factor, strict=True))
    step = np.diag([*factor, 1.0])
    step[:3, 3] = (factor - 1.0) / 2.0
    coarse = Grid((x, y, z), grid.affine @ step)
    return resample(smooth, grid, coarse, np.eye(4), order=1), coarse
