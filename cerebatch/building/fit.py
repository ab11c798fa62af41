"""A lobule map brought into the cerebellar outline of a head: an affine, then a smooth deformation.

The outline is all that the two have in common. Fissures are closed on both sides and the white matter is
smoothed, so that nothing finer than the shape of the whole decides where a lobule goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.building.arbor import grow
from cerebatch.building.head import BRAIN_STEM, LEFT_GREY, LEFT_WHITE, RIGHT_GREY, RIGHT_WHITE, Head
from cerebatch.building.suit import close_fissures
from cerebatch.errors import LabelMapError, StageError
from cerebatch.io.labelmaps import map_name, read_codes
from cerebatch.labels import side_of
from cerebatch.measures.overlap import dice
from cerebatch.spatial import greedy_bridge
from cerebatch.spatial.align import centroids, fit_similarity, overlap_affine
from cerebatch.spatial.greedy_bridge import GreedySchedule
from cerebatch.spatial.space import Affine, Field, Grid, LabelMap, Volume, cerebellum_box, inverse, resample_labels

_STEM_MM = 6.0
"""The head's outline is not followed nearer to the brain stem: it has peduncles there and the maps have none."""

_SMOOTHING_MM = 1.5
_DEFORMATION = GreedySchedule("SSD", iterations=(60, 60, 20), smoothing_mm=(4.0, 2.0))
_WEIGHTS = (1.0, 1.0, 0.3)
_LEAST_JACOBIAN = 0.1


@dataclass(frozen=True)
class LobuleMap:
    """A published lobule map with the arbor vitae grown in it.

    Attributes
    ----------
    name, file_name : str
        Of the file, without and with what follows the name.
    dseg : (X, Y, Z) uint8
        Cerebatch codes; an arbor vitae has the code of its lobule.
    white : (X, Y, Z) bool
        Core and arbor vitae.
    grid : Grid
        Scanner frame of the map.
    dropped : dict
        Voxels of the file dropped for each code outside the protocol.
    """

    name: str
    file_name: str
    dseg: LabelMap
    white: NDArray[np.bool_]
    grid: Grid
    dropped: dict[int, int]

    @property
    def regions(self) -> LabelMap:
        """Regions 1 to 4 of `head.REGIONS`."""
        left = side_of(self.dseg) == 1
        return np.select(
            [left & self.white, left, self.white, self.dseg > 0],
            [np.uint8(code) for code in (LEFT_WHITE, LEFT_GREY, RIGHT_WHITE, RIGHT_GREY)],
            np.uint8(0),
        )


@dataclass(frozen=True)
class Fit:
    """Where a lobule map lies in a head.

    Attributes
    ----------
    map_from_mni : (4, 4) float
        MNI millimetres -> millimetres of the map's frame.
    field : (X, Y, Z, 3) float32
        In voxels of `grid`; added to an index before the affine.
    grid : Grid
        MNI frame.
    overlap : float
        Dice of the deformed map and the head's cerebellum, both closed, away from the brain stem.
    """

    map_from_mni: Affine
    field: Field
    grid: Grid
    overlap: float


def read_lobule_map(path: Path) -> LobuleMap:
    """Read a map in CoBrALab codes and grow its arbor vitae.

    Raises
    ------
    LabelMapError
        No label map, or a structure is missing.
    """
    codes, grid = read_codes(path)
    dseg, dropped = labels.from_cobralab(codes)
    missing = [label.name for label in labels.LABELS if not (dseg == label.index).any()]
    if missing:
        raise LabelMapError(
            path,
            expected="a lobule map with the 26 structures of CoBrALab's protocol",
            found=f"none of {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}",
            do="Give the maps of CoBrALab/atlases (cerebellum/labels), NIfTI.",
        )
    return LobuleMap(map_name(path), path.name, dseg, grow(dseg, grid), grid, dropped)


def fit(lobules: LobuleMap, head: Head) -> Fit:
    """Bring a lobule map into the outline of a head's cerebellum.

    Parameters
    ----------
    lobules : LobuleMap
    head : Head

    Raises
    ------
    StageError
        The deformation folds, or the two do not come to overlap.
    """
    grid = cerebellum_box(1.0)
    head_regions = resample_labels(head.regions, head.grid, grid, inverse(head.mni_from_head))
    target = close_fissures(np.where(head_regions < BRAIN_STEM, head_regions, 0).astype(np.uint8), grid)
    regions = lobules.regions
    here, here_mm3 = centroids(regions, lobules.grid, 4)
    there, there_mm3 = centroids(target, grid, 4)
    mni_from_map = fit_similarity(here, there, float(there_mm3.sum() / here_mm3.sum()) ** (1 / 3))
    for _ in range(2):
        started = close_fissures(resample_labels(regions, lobules.grid, grid, inverse(mni_from_map)), grid)
        mni_from_map = overlap_affine(started, target, grid, 4) @ mni_from_map

    map_from_mni = inverse(mni_from_map)
    started = close_fissures(resample_labels(regions, lobules.grid, grid, map_from_mni), grid)
    stem_mm = ndimage.distance_transform_edt(head_regions != BRAIN_STEM, sampling=grid.voxel_sizes_mm)
    mask = stem_mm > _STEM_MM
    field = greedy_bridge.register(
        _channels(target), _channels(started), _DEFORMATION,
        voxel_mm=float(grid.voxel_sizes_mm[0]), mask=mask, weights=_WEIGHTS,
    )  # fmt: skip
    _require_no_folds(field)
    moved = displaced(started, field) > 0
    _require_inside(moved)
    return Fit(map_from_mni, field, grid, dice(moved & mask, (target > 0) & mask))


def displaced(dseg: LabelMap, field: Field) -> LabelMap:
    """A label map sampled through a displacement field of the same grid, nearest neighbour."""
    index = np.indices(dseg.shape, dtype=np.float32) + np.moveaxis(field, -1, 0)
    moved: LabelMap = ndimage.map_coordinates(dseg, index, order=0, mode="nearest")
    return moved


def _channels(regions: LabelMap) -> list[Volume]:
    """Left half, right half and white matter, smoothed."""
    masks = (
        (regions == LEFT_WHITE) | (regions == LEFT_GREY),
        (regions == RIGHT_WHITE) | (regions == RIGHT_GREY),
        (regions == LEFT_WHITE) | (regions == RIGHT_WHITE),
    )
    return [ndimage.gaussian_filter(mask.astype(np.float32), _SMOOTHING_MM) for mask in masks]


def _require_no_folds(field: Field) -> None:
    gradient = np.stack([np.stack(np.gradient(field[..., c]), axis=-1) for c in range(3)], axis=-2)
    least = float(np.linalg.det(gradient + np.eye(3, dtype=np.float32)).min())
    if least < _LEAST_JACOBIAN:
        raise StageError(
            f"deformation of a lobule map: expected a Jacobian of at least {_LEAST_JACOBIAN}, found {least:.2f}. "
            "The map and the head's cerebellum differ too much; leave out one of them."
        )


def _require_inside(mask: NDArray[np.bool_]) -> None:
    inner = tuple(slice(2, -2) for _ in range(3))
    if mask.sum() > mask[inner].sum():
        raise StageError(
            "fit of a lobule map: expected it inside the cerebellum box, found it within 2 mm of its faces. The head's "
            "cerebellum is too large or lies wrong; leave out the head."
        )
