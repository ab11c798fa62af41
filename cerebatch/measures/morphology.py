"""Closing fissures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial.space import Grid


def closed(mask: NDArray[np.bool_], grid: Grid, radius_mm: float = 2.0) -> NDArray[np.bool_]:
    """Morphological closing by a ball, enclosed holes filled: fissures up to twice the radius wide disappear.

    Parameters
    ----------
    mask : (X, Y, Z) bool
    grid : Grid
    radius_mm : float
    """
    sizes_mm = grid.voxel_sizes_mm
    # Room for the dilation, which the edge of the grid would cut and the erosion then eat away.
    room = int(np.ceil(radius_mm / sizes_mm.min())) + 1
    padded = np.pad(mask, room)
    dilated = ndimage.distance_transform_edt(~padded, sampling=sizes_mm) <= radius_mm
    shrunk = ndimage.distance_transform_edt(dilated, sampling=sizes_mm) > radius_mm
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(shrunk)
    inner = slice(room, -room)
    return filled[inner, inner, inner]
