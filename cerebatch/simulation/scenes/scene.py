"""What a test image shows: a lobule map at its own 0.3 mm in a head whose cerebellum was taken out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.building.arbor import grow
from cerebatch.building.head import read_head_codes
from cerebatch.errors import LabelMapError
from cerebatch.io.labelmaps import map_name, read_codes
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.tissues import TISSUE_OF_CODE, TISSUES
from cerebatch.measures.morphology import closed
from cerebatch.simulation.scenes.pose import Pose, Shape, find_pose
from cerebatch.spatial.space import Grid, LabelMap, resample_labels

MATERIALS = ("air", "fluid", "grey", "white", "deep grey", "stem", "bone", "fat", "muscle", "vessel")
"""What has a signal of its own. The cerebellum has grey and white like the cerebrum, and no more than these two."""

AIR, FLUID, GREY, WHITE, DEEP, STEM, BONE, FAT, MUSCLE, VESSEL = range(len(MATERIALS))

CLOSING_MM = 2.0
"""Fissures up to twice this width lie inside the outline of the cerebellum."""

_CORE_SMOOTHING_MM = 1.0
_PEDUNCLE_MM = 14.0
_PADDING_MM = 4.0

_LEFT, _RIGHT, _HEAD_WHITE = (7, 8), (46, 47), (7, 46)
_FINER = {DEEP: (10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58), STEM: (16, 28, 60, 512)}
_MATERIAL_OF_TISSUE = {
    "air": AIR, "CSF": FLUID, "GM": GREY, "WM": WHITE, "bone": BONE, "fat": FAT, "muscle": MUSCLE, "vessel": VESSEL,
}  # fmt: skip


@dataclass(frozen=True)
class Lobules:
    """A lobule map with white matter grown in its lobules.

    Attributes
    ----------
    name : str
    dseg : (X, Y, Z) uint8
        Cerebatch codes; an arbor vitae has the code of its lobule, fissures are background.
    white : (X, Y, Z) bool
        Core and arbor vitae.
    outline : (X, Y, Z) bool
        The labels with their fissures closed.
    grid : Grid
        The map's own, wider by the room that closing needs.
    """

    name: str
    dseg: LabelMap
    white: NDArray[np.bool_]
    outline: NDArray[np.bool_]
    grid: Grid


@dataclass(frozen=True)
class HeadMap:
    """A head without its cerebellum.

    Attributes
    ----------
    name : str
    material : (X, Y, Z) uint8
        Indices of `MATERIALS`; fluid where the cerebellum was, except for its peduncles.
    own : Shape
        The cerebellum that it had.
    grid : Grid
    """

    name: str
    material: LabelMap
    own: Shape
    grid: Grid


@dataclass(frozen=True)
class Scene:
    """A lobule map in its place in a head.

    Attributes
    ----------
    head : HeadMap
    pose : Pose
    inset : (X, Y, Z) uint8
        1 + index of `MATERIALS` on `grid`, 0 where the head shows.
    dseg, lobules : (X, Y, Z) uint8
        The truth on `grid`: arbor vitae under the code of the white matter, and under that of its lobule.
    grid : Grid
        The map's voxels, in the head's frame.
    figures : dict of str to float
        What was covered and overlapped, as shares.
    """

    head: HeadMap
    pose: Pose
    inset: LabelMap
    dseg: LabelMap
    lobules: LabelMap
    grid: Grid
    figures: dict[str, float]


def read_lobules(path: Path) -> Lobules:
    """Read a lobule map and grow its arbor vitae.

    Parameters
    ----------
    path : Path
        CoBrALab codes.

    Raises
    ------
    LabelMapError
        No label map, or a structure is missing.
    """
    codes, own_grid = read_codes(path)
    dseg, _ = labels.from_cobralab(codes)
    missing = [label.name for label in labels.LABELS if not (dseg == label.index).any()]
    if missing:
        raise LabelMapError(
            path,
            expected="the 26 structures in CoBrALab's codes (1-13 left, 101-113 right)",
            found=f"none of {', '.join(missing[:5])}{' and others' if len(missing) > 5 else ''}",
            do="Give a map of CoBrALab/atlases (cerebellum/labels) as published.",
        )
    dseg, grid = _padded(dseg, own_grid)
    return Lobules(map_name(path), dseg, grow(dseg, grid), _outline(dseg > 0, grid), grid)


def read_head_map(path: Path) -> HeadMap:
    """Read a whole-head map and take its cerebellum out.

    White matter of the cerebellum near the brain stem stays: the peduncles, which no lobule map holds.

    Parameters
    ----------
    path : Path
        FreeSurfer's codes below 200, SynthSeg's from 500 on.

    Raises
    ------
    LabelMapError
        Unknown codes, or no cerebellum.
    """
    codes, grid = read_head_codes(path)
    cerebellum = np.isin(codes, (*_LEFT, *_RIGHT))
    table = np.zeros(int(codes.max()) + 1, dtype=np.uint8)
    for code, tissue in TISSUE_OF_CODE.items():
        if code < table.size:
            table[code] = _MATERIAL_OF_TISSUE[TISSUES[tissue]]
    for material, finer in _FINER.items():
        table[[code for code in finer if code < table.size]] = material
    material = table[codes]
    white = np.isin(codes, _HEAD_WHITE)
    stem_mm = ndimage.distance_transform_edt(codes != 16, sampling=grid.voxel_sizes_mm)
    material[cerebellum & ~(white & (stem_mm < _PEDUNCLE_MM))] = FLUID
    own = Shape(np.isin(codes, _LEFT), np.isin(codes, _RIGHT), white, grid)
    return HeadMap(map_name(path), np.ascontiguousarray(material), own, grid)


def make_scene(
    lobules: Lobules, head: HeadMap, *, erased: bool = False, pose: Pose | None = None, filled: bool = False
) -> Scene:
    """Set a lobule map into a head.

    The lobules win over everything but the brain stem; fissures are fluid.

    Parameters
    ----------
    lobules : Lobules
    head : HeadMap
    erased : bool
        Leave nothing inside the outline but grey matter around a smoothed core, so that no border between lobules
        is to be seen. Pose and truth stay the same.
    pose : Pose, optional
        Of another scene, where the map has been changed since; found without it.
    filled : bool
        Grey matter in place of the fluid in the fissures; the truth stays the same.

    Raises
    ------
    StageError
        No similarity brings the two to overlap.
    """
    pose = pose or pose_in(lobules, head)
    grid = Grid(lobules.grid.shape, pose.head_from_map @ lobules.grid.affine)
    around = resample_labels(head.material, head.grid, grid, np.eye(4))
    labelled = (lobules.dseg > 0) & (around != STEM)
    inset = np.zeros(grid.shape, dtype=np.uint8)
    if erased:
        inset[lobules.outline & (around != STEM)] = GREY + 1
        core = np.isin(lobules.dseg, WHITE_MATTER).astype(np.float32)
        smooth = ndimage.gaussian_filter(core, _CORE_SMOOTHING_MM / lobules.grid.voxel_sizes_mm) > 0.5
        inset[smooth & (inset > 0)] = WHITE + 1
    else:
        inset[lobules.outline & ~np.isin(around, (STEM, WHITE))] = (GREY if filled else FLUID) + 1
        inset[labelled] = np.where(lobules.white[labelled], np.uint8(WHITE + 1), np.uint8(GREY + 1))
    truth = np.where(labelled, lobules.dseg, np.uint8(0))
    dseg = np.where(labelled & lobules.white, labels.white_matter_of(truth), truth)
    return Scene(head, pose, inset, dseg, truth, grid, _figures(lobules, head, around, grid))


def pose_in(lobules: Lobules, head: HeadMap) -> Pose:
    """Where a lobule map comes to lie in a head (`pose.find_pose`)."""
    side = labels.side_of(lobules.dseg)[tuple(nearest(lobules.dseg > 0, lobules.grid))]
    shape = Shape(lobules.outline & (side == 1), lobules.outline & (side == 2), lobules.white, lobules.grid)
    outside = np.isin(head.material, (AIR, STEM, BONE, FAT, MUSCLE))
    return find_pose(shape, head.own, outside, f"{lobules.name} in {head.name}")


def _figures(lobules: Lobules, head: HeadMap, around: LabelMap, grid: Grid) -> dict[str, float]:
    """Shares of the map over the head's other tissue, and of the head's cerebellum that the map leaves open."""
    labelled = around[lobules.dseg > 0]
    covered = resample_labels(lobules.outline.view(np.uint8), grid, head.grid, np.eye(4)) > 0
    own = head.own.left | head.own.right
    return {
        "uncovered": float((own & ~covered).sum() / own.sum()),
        "beyond_own": float((covered & ~own).sum() / covered.sum()),
        "over_stem": float((labelled == STEM).mean()),
        "over_other_brain": float(np.isin(labelled, (GREY, DEEP)).mean()),
        "outside_skull": float(np.isin(labelled, (AIR, BONE, FAT, MUSCLE)).mean()),
    }


def _padded(dseg: LabelMap, grid: Grid) -> tuple[LabelMap, Grid]:
    """A label map with room around its labels."""
    room = np.ceil(_PADDING_MM / grid.voxel_sizes_mm).astype(int)
    origin = np.eye(4)
    origin[:3, 3] = -room
    x, y, z = (int(n + 2 * r) for n, r in zip(grid.shape, room, strict=True))
    return np.pad(dseg, [(r, r) for r in room]), Grid((x, y, z), grid.affine @ origin)


def _outline(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """A mask with its fissures closed; the closing is made on every second voxel where these are fine."""
    step = 2 if grid.voxel_sizes_mm.max() < 0.5 else 1
    every = Grid(mask[::step, ::step, ::step].shape, grid.affine @ np.diag([step, step, step, 1.0]))
    coarse = closed(mask[::step, ::step, ::step], every, CLOSING_MM)
    fine: NDArray[np.bool_] = resample_labels(coarse.view(np.uint8), every, grid, np.eye(4)) > 0
    return fine | mask


def nearest(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.intp]:
    """Indices of the nearest voxel of a mask."""
    found: NDArray[np.intp] = ndimage.distance_transform_edt(
        ~mask, sampling=grid.voxel_sizes_mm, return_distances=False, return_indices=True
    )
    return found
