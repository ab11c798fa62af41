"""One volume as eight interleaved volumes of twice the voxel size, and back (stride decomposition, section 2.1).

Part number ``4 a + 2 b + c`` holds the voxels ``volume[a::2, b::2, c::2]``, with a, b and c 0 or 1.
"""

from __future__ import annotations

from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import Grid

OFFSETS: tuple[tuple[int, int, int], ...] = tuple((a, b, c) for a, b, c in product((0, 1), repeat=3))
"""First voxel of each part along x, y and z; z changes fastest."""

_Voxel = TypeVar("_Voxel", bound=np.generic)


def decompose(volume: NDArray[_Voxel]) -> NDArray[_Voxel]:
    """Take a volume apart.

    Parameters
    ----------
    volume : (X, Y, Z) array
        Any type; even sides.

    Returns
    -------
    parts : (8, X/2, Y/2, Z/2) array
        In the order of `OFFSETS`.

    Raises
    ------
    ValueError
        Not three axes, or an odd side.
    """
    _require_even(volume.shape)
    x, y, z = (n // 2 for n in volume.shape)
    # np.stack would exchange the bytes of big-endian voxels.
    parts = np.empty((len(OFFSETS), x, y, z), dtype=volume.dtype)
    for part, (a, b, c) in zip(parts, OFFSETS, strict=True):
        part[...] = volume[a::2, b::2, c::2]
    return parts


def compose(parts: NDArray[_Voxel]) -> NDArray[_Voxel]:
    """Put a volume together again: the exact inverse of `decompose`.

    Parameters
    ----------
    parts : (8, X/2, Y/2, Z/2) array
        In the order of `OFFSETS`.

    Returns
    -------
    volume : (X, Y, Z) array

    Raises
    ------
    ValueError
        Not eight volumes.
    """
    if parts.ndim != 4 or len(parts) != len(OFFSETS):
        raise ValueError(f"expected parts of shape (8, X/2, Y/2, Z/2), found {parts.shape}")
    x, y, z = (2 * n for n in parts.shape[1:])
    volume = np.empty((x, y, z), dtype=parts.dtype)
    for (a, b, c), part in zip(OFFSETS, parts, strict=True):
        volume[a::2, b::2, c::2] = part
    return volume


def grids(grid: Grid) -> list[Grid]:
    """Grids of the eight parts: every voxel keeps its place in millimetres.

    Parameters
    ----------
    grid : Grid
        Of the volume; even sides.

    Returns
    -------
    parts : list of Grid
        In the order of `OFFSETS`, in the frame of `grid`.

    Raises
    ------
    ValueError
        An odd side.
    """
    _require_even(grid.shape)
    x, y, z = (n // 2 for n in grid.shape)
    found = []
    for offset in OFFSETS:
        volume_from_part = np.diag([2.0, 2.0, 2.0, 1.0])
        volume_from_part[:3, 3] = offset
        found.append(Grid((x, y, z), grid.affine @ volume_from_part))
    return found


def _require_even(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or any(side % 2 for side in shape):
        raise ValueError(f"expected three even sides, found {shape}")
