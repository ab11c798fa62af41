"""Bending a labelled case onto a target: one displacement for its images, tissues and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.greedy_bridge import GreedySchedule
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import Library
from cerebatch.library.subject_atlas import by_greedy, register_cases
from cerebatch.space import Field, LabelMap, Volume, warp_labels

TOOL = "greedy"

_SCHEDULE = GreedySchedule(
    "NCC", iterations=(100, 50, 10), smoothing_mm=None, radius=2, affine_iterations=(100, 50, 10)
)
"""As greedy's authors recommend (Yushkevich et al. 2016, and the tutorial of greedy): 12 parameters, then the
deformation, NCC in cubes of 5 voxels weighted by the mask, 100x50x10 steps, their smoothing."""

_TRIAL = replace(_SCHEDULE, iterations=(100,), affine_iterations=(100,))
"""Voxels of 4 mm are the coarsest of the three levels already; on coarser ones the affine lost 7 of 12 scans."""


def schedule(resolution: float) -> GreedySchedule:
    """How cases are registered at a resolution in millimetres."""
    return _TRIAL if resolution > 1 else _SCHEDULE


@dataclass(frozen=True)
class Bent:
    """A labelled case in the shape of a target. All arrays lie on the cerebellum box.

    Attributes
    ----------
    image : (2, X, Y, Z) float32
        T1w and T2w at the targets of the normalisation.
    tissue : (T, X, Y, Z) uint8
        Share of each tissue in 1/255; zeros for a case that is a real scan.
    dseg, lobules : (X, Y, Z) uint8
        White matter of the folia counted as white matter, and with its lobule.
    """

    image: Volume
    tissue: NDArray[np.uint8]
    dseg: LabelMap
    lobules: LabelMap


def register(target: Volume, case: Volume, region: NDArray[np.bool_], resolution: float, seed: int) -> Field:
    """Displacement that brings a case onto a target; the one place that a registration network would take over.

    Parameters
    ----------
    target, case : (X, Y, Z) float32
        T1w images in the box.
    region : (X, Y, Z) bool
        Where they are compared.
    resolution : float
        Voxel edge in millimetres. Registered is on 1 mm, or on the grid itself where that is coarser.
    seed : int

    Returns
    -------
    field : (X, Y, Z, 3) float32
        In voxels: what lies at ``index + field[index]`` in the case comes to ``index``.

    Raises
    ------
    StageError
        Greedy failed.
    """
    (field,) = register_cases(target, [case], region, resolution, register=by_greedy(schedule(resolution), seed))
    return _on_grid(field, target.shape)


def tool_version() -> str:
    """Version of the registration tool."""
    return version("picsl-greedy")


def bend(library: Library, index: int, field: Field) -> Bent:
    """Carry a case of the library along a displacement.

    T1w and T2w by cubic B-splines, kept within their own range, so that one interpolation costs no sharpness; tissue
    shares linearly; labels by the linear vote. Beyond the box the outermost voxel goes on; labels end there.

    Parameters
    ----------
    library : Library
    index : int
        Of the case.
    field : (X, Y, Z, 3) float32
        As `register` gives it.
    """
    points = np.moveaxis(field, -1, 0) + np.indices(field.shape[:3], dtype=np.float32)
    images = [library.image(index, contrast) for contrast in CONTRASTS]
    tissue = library.tissue(index)
    return Bent(
        image=np.stack([np.clip(_sampled(image, points, 3), image.min(), image.max()) for image in images]),
        tissue=_bent_shares(tissue, points) if library.rendered[index] else tissue,
        dseg=warp_labels(library.dseg(index), field),
        lobules=warp_labels(library.lobules(index), field),
    )


def _on_grid(field: Field, shape: tuple[int, ...]) -> Field:
    """A field on the grid of the images; both grids share their outer faces."""
    factor = shape[0] // field.shape[0]
    if factor == 1:
        return field
    fine: Field = ndimage.zoom(field, (factor, factor, factor, 1), order=1, mode="nearest", grid_mode=True)
    return fine


def _sampled(image: Volume, points: NDArray[np.float32], order: int) -> Volume:
    sampled: Volume = ndimage.map_coordinates(image, points, np.float32, order, mode="nearest")
    return sampled


def _bent_shares(tissue: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shares that still sum to 255: what rounding leaves goes to the largest."""
    shares = np.stack([_rounded(_sampled(share.astype(np.float32), points, 1)) for share in tissue])
    left = 255 - shares.sum(axis=0, dtype=np.int16)
    largest = shares.argmax(axis=0)[None]
    most = np.take_along_axis(shares, largest, axis=0).astype(np.int16)
    np.put_along_axis(shares, largest, (most + left).astype(np.uint8), axis=0)
    return shares


def _rounded(share: Volume) -> NDArray[np.uint8]:
    return np.rint(share).astype(np.uint8)
