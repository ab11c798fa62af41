"""What a registration sees of a scan and of library cases, and the fields that bring the cases onto the scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.library.store import Library
from cerebatch.spatial.blocks import cut
from cerebatch.spatial.deformable import Register, by_greedy
from cerebatch.spatial.space import Field, Volume

REGISTERED_MM = 1.0
"""Edge of the voxels that cases are registered on, where those of the grid are smaller."""

_REGISTRATION_CEILING = 300.0
"""Just above white matter: fat and vessels must not steer."""

_AROUND_MM = 4.0


def register_cases(
    scan: Volume,
    cases: Sequence[Volume],
    region: NDArray[np.bool_],
    resolution: float,
    threads: int = 1,
    register: Register | None = None,
) -> list[Field]:
    """Displacements that bring library cases onto a scan.

    All are reduced to voxels of 1 mm, where the fields live.

    Parameters
    ----------
    scan : (X, Y, Z) float32
        T1w on the cerebellum box.
    cases : sequence of (X, Y, Z) float32
        The same contrast.
    region : (X, Y, Z) bool
        Where they are compared.
    resolution : float
        Voxel edge in millimetres.
    threads : int
    register : callable, optional
        Scan, cases, region, voxel edge in millimetres, threads -> fields in voxels: by greedy, or by a network.

    Returns
    -------
    fields : list of (x, y, z, 3) float32
        In voxels of the images: the case at ``index + field`` belongs to the scan at ``index``.

    Raises
    ------
    StageError
        Greedy failed.
    """
    fixed, *seen = (seen_by_registration(image, resolution) for image in (scan, *cases))
    fields = register_seen(fixed, seen, region, resolution, threads, register)
    return [np.float32(_factor(resolution)) * field for field in fields]


def register_seen(
    fixed: Volume,
    moving: Sequence[Volume],
    region: NDArray[np.bool_],
    resolution: float,
    threads: int = 1,
    register: Register | None = None,
) -> list[Field]:
    """Displacements that bring images onto another one, all as `seen_by_registration` gives them.

    Parameters
    ----------
    fixed : (x, y, z) float32
    moving : sequence of (x, y, z) float32
    region : (X, Y, Z) bool
        On the grid of the images themselves.
    resolution : float
        Of that grid, voxel edge in millimetres.
    threads : int
    register : callable, optional
        As for `register_cases`.

    Returns
    -------
    fields : list of (x, y, z, 3) float32
        In voxels of what was seen.

    Raises
    ------
    StageError
        Greedy failed.
    """
    factor = _factor(resolution)
    mask = np.asarray(_reduced(region.astype(np.float32), factor) > 0)
    return list((register or by_greedy())(fixed, moving, mask, resolution * factor, threads))


def compared_region(library: Library) -> NDArray[np.bool_]:
    """Where cerebella lie and what is around, so that their outline is seen from both sides; (X, Y, Z)."""
    region = library.region()
    for axis, (have, want) in enumerate(zip(region.shape, library.grid.shape, strict=True)):
        region = np.repeat(region, want // have, axis=axis)
    return np.asarray(ndimage.distance_transform_edt(~region, sampling=library.resolution) <= _AROUND_MM)


def seen_by_registration(image: Volume, resolution: float) -> Volume:
    """What a registration sees: no finer than 1 mm, nothing brighter than white matter, slightly smoothed.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Prepared T1w, or that of a library case.
    resolution : float
        Voxel edge in millimetres.

    Returns
    -------
    seen : (x, y, z) float32
    """
    factor = _factor(resolution)
    clipped = np.minimum(_reduced(image, factor), np.float32(_REGISTRATION_CEILING))
    smooth: Volume = ndimage.gaussian_filter(clipped, 1.0 / (resolution * factor))
    return smooth


def _factor(resolution: float) -> int:
    return max(1, round(REGISTERED_MM / resolution))


def _reduced(image: Volume, factor: int) -> Volume:
    """Means of blocks of voxels."""
    return np.asarray(cut(image, factor).mean(axis=(1, 3, 5)), dtype=np.float32)
