"""From fine voxels to the grid: what each block of voxels holds most of, and how much of one thing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import LabelMap


def fine_mm(resolution: float) -> float:
    """Voxel edge of the grid that shares of a voxel are counted on; the maps have 0.3 mm.

    Parameters
    ----------
    resolution : float
        Voxel edge in millimetres; those of trials have shares enough without the finest grid.
    """
    return 0.25 if resolution <= 1.0 else 0.5


def cut(volume: NDArray[Any], edge: int) -> NDArray[Any]:
    """A view of a volume by its blocks, (X / edge, edge, Y / edge, edge, Z / edge, edge).

    Parameters
    ----------
    volume : (X, Y, Z) array
        What is left over at the ends of axes is not seen.
    edge : int
        Of a block, in voxels.
    """
    x, y, z = (n // edge for n in volume.shape)
    return volume[: x * edge, : y * edge, : z * edge].reshape(x, edge, y, edge, z, edge)


def majority(dseg: LabelMap, factor: int) -> LabelMap:
    """The most frequent label of each block of voxels; ties go to the smaller code.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Every side a multiple of `factor`.
    factor : int
        Edge of a block in voxels.
    """
    x, y, z = (n // factor for n in dseg.shape)
    blocks = cut(dseg, factor).transpose(0, 2, 4, 1, 3, 5).reshape(-1, factor**3)
    winner = blocks[:, 0].copy()
    mixed = (blocks != blocks[:, :1]).any(axis=1)
    votes = [np.count_nonzero(blocks[mixed] == code, axis=1) for code in range(int(dseg.max()) + 1)]
    winner[mixed] = np.argmax(votes, axis=0)
    return winner.reshape(x, y, z)


def shares(codes: LabelMap, factor: int, count: int) -> NDArray[np.uint8]:
    """Share of each code in each block of voxels, in 1/255, rounded.

    Parameters
    ----------
    codes : (X, Y, Z) uint8
        0 to `count` - 1; every side a multiple of `factor`.
    factor : int
        Edge of a block in voxels.
    count : int

    Returns
    -------
    shares : (count, X / factor, Y / factor, Z / factor) uint8
    """
    x, y, z = (n // factor for n in codes.shape)
    result = np.zeros((count, x, y, z), dtype=np.uint8)
    for code in np.unique(codes):
        # Axis by axis from the last: each sum runs over neighbours in memory.
        held = (codes == code).reshape(-1, factor).sum(axis=1, dtype=np.uint16)
        held = held.reshape(x * factor, y, factor, z).sum(axis=2, dtype=np.uint16)
        held = held.reshape(x, factor, y, z).sum(axis=1, dtype=np.uint16)
        result[code] = np.round(held * (255.0 / factor**3)).astype(np.uint8)
    return result
