"""A scan is registered once, to the library's mean, on whose voxels the field of every case begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cerebatch.atlas.registering import register_seen, seen_by_registration
from cerebatch.library.mean import read_mean, read_to_mean
from cerebatch.library.store import Library
from cerebatch.spatial.space import Field, Volume


def register_through_mean(
    scan: Volume, library: Library, chosen: Sequence[int], region: NDArray[np.bool_], threads: int = 1
) -> tuple[Field, list[Field]]:
    """Displacements of `fusion.warp_and_fuse`: from the scan to the mean, and from there to each case.

    Parameters
    ----------
    scan : (X, Y, Z) float32
        T1w on the library's grid.
    library : Library
        With a mean.
    chosen : sequence of int
        Its cases.
    region : (X, Y, Z) bool
        Where scan and mean are compared.
    threads : int

    Returns
    -------
    through : (x, y, z, 3) float32
    fields : list of (x, y, z, 3) float32
        All in voxels of the scan.

    Raises
    ------
    LibraryError
        The library has no mean.
    StageError
        Greedy failed.
    """
    seen = seen_by_registration(scan, library.resolution)
    (through,) = register_seen(seen, [read_mean(library)], region, library.resolution, threads)
    factor = scan.shape[0] // seen.shape[0]
    return np.float32(factor) * through, [np.float32(factor) * read_to_mean(library, k) for k in chosen]
