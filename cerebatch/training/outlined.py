"""Real scans of which is known what each voxel may be, not what it is.

A manual label allows a set of ours, and the loss is minus the logarithm of what a network gives the set. It teaches
outline, side, white matter core and vermis on real tissue; it teaches no names and no folia. Opinions of an atlas and
of earlier networks narrow the set to what one of them said: where they agree, a voxel has its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from cerebatch.errors import LabelMapError
from cerebatch.intensity.tissue import TARGETS
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_codes
from cerebatch.labels import LABELS, N_CLASSES, STRUCTURES, mirrored, structure_of
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import Prepared
from cerebatch.training.geometry import LABELLED, Geometry
from cerebatch.training.transforms.contrast import random_intensities
from cerebatch.training.transforms.deformation import Strength, deformed, deformed_labels, random_grid
from cerebatch.training.transforms.flaws import degraded

MANUAL = {39: 1, 38: 2, 41: 3, 40: 4, 71: 5, 72: 6, 73: 7}
"""Code of a manual label (MICCAI 2012) -> code of `OutlinedScan.manual`."""
LEFT_CORTEX, RIGHT_CORTEX, LEFT_WHITE, RIGHT_WHITE, *VERMIS = range(1, 8)

_MANUAL_OF = np.zeros(N_CLASSES, dtype=np.uint8)
"""What a hand would have called a cerebatch code; it knows the vermis no more."""
for _label in LABELS:
    _cortex = LEFT_CORTEX if _label.side == "left" else RIGHT_CORTEX
    _MANUAL_OF[_label.index] = _cortex + 2 if _label.structure == "White matter" else _cortex

_VERMIS_GROUPS = (("I-II", "III", "IV", "V"), ("VI", "Crus I", "Crus II", "VIIB"), ("VIIIA", "VIIIB", "IX", "X"))
"""Structures of vermis I-V, VI-VII and VIII-X."""

_T1W = TARGETS["T1w"]
DARK = (_T1W.csf + _T1W.gm) / 2
"""A prepared T1w below this shows fluid rather than grey matter."""
BRIGHT = (_T1W.gm + _T1W.wm) / 2
"""Above this it shows white matter rather than grey matter."""

_STRENGTH = Strength(degrees=6.0, scale=0.08, shift_mm=3.0, elastic_mm=((40.0, 2.5),))
_SURROUNDED = 0.6
_WHITE = STRUCTURES.index("White matter") + 1
BACKGROUND, LEFT, RIGHT = 1, 2, 4
"""Bits of the classes of the first network."""


def _none() -> LabelMap:
    return np.zeros((0, 1, 1, 1), dtype=np.uint8)


@dataclass(frozen=True)
class OutlinedScan:
    """A prepared scan and its manual labels on the cerebellum box of 1 mm.

    Attributes
    ----------
    t1w : (X, Y, Z) float32
        At the targets of the normalisation.
    manual : (X, Y, Z) uint8
        0, or a code of `MANUAL`.
    left : (X, Y, Z) bool
        Which side a voxel is on: that of the nearest manual cortex or white matter.
    opinions : (O, X, Y, Z) uint8
        Cerebatch codes by other means, none where O is 0.
    """

    t1w: Volume
    manual: LabelMap
    left: NDArray[np.bool_]
    opinions: LabelMap = field(default_factory=_none)


def read_outlined(prepared: Path, labels: Path, opinions: Path | None = None) -> OutlinedScan:
    """Bring a scan that `prepare` made ready and its manual labels together.

    Parameters
    ----------
    prepared : Path
        Folder with ``T1w.nii.gz`` and ``prepared.json``.
    labels : Path
        Manual labels on the grid of the scan's file.
    opinions : Path, optional
        Of `recipes.own_labels`, on the cerebellum box of 1 mm.

    Raises
    ------
    LabelMapError
        One of the labels of `MANUAL` is missing.
    """
    codes, grid = read_codes(labels)
    table = np.zeros(max(int(codes.max()), *MANUAL) + 1, dtype=np.uint8)
    table[list(MANUAL)] = list(MANUAL.values())
    made = Prepared.read(prepared)
    box = cerebellum_box(1.0)
    manual = resample_labels(table[codes], grid, box, inverse(made.affine))
    missing = sorted(code for code, own in MANUAL.items() if not (manual == own).any())
    if missing:
        raise LabelMapError(
            labels,
            expected=f"manual labels of the cerebellum ({', '.join(map(str, MANUAL))}) inside the box",
            found=f"none of code {', '.join(map(str, missing))}",
            do="Leave out this scan.",
        )
    return OutlinedScan(
        read_voxels(prepared / "T1w.nii.gz"),
        manual,
        _nearer_left(manual),
        _none() if opinions is None else _opinions(opinions),
    )


def read_labelled(prepared: Path, opinions: Path) -> OutlinedScan:
    """A scan without manual labels: the first opinion's outline stands in their place.

    Parameters
    ----------
    prepared : Path
        As for `read_outlined`.
    opinions : Path
    """
    said = _opinions(opinions)
    manual = _MANUAL_OF[said[0]]
    return OutlinedScan(read_voxels(prepared / "T1w.nii.gz"), manual, _nearer_left(manual), said)


def _opinions(path: Path) -> LabelMap:
    shape = cerebellum_box(1.0).shape
    said = np.moveaxis(read_voxels(path), -1, 0).astype(np.uint8)
    if said.shape[1:] != shape or said.max() >= N_CLASSES:
        raise LabelMapError(
            path,
            expected=f"label maps in cerebatch codes on a box of {shape}",
            found=f"a shape of {said.shape[1:]} and codes up to {said.max()}",
            do="Make it again with `python -m recipes.own_labels`.",
        )
    return said


def _nearer_left(manual: LabelMap) -> NDArray[np.bool_]:
    left, right = np.isin(manual, (LEFT_CORTEX, LEFT_WHITE)), np.isin(manual, (RIGHT_CORTEX, RIGHT_WHITE))
    to_left, to_right = (ndimage.distance_transform_edt(~side) for side in (left, right))
    return np.asarray(to_left < to_right)


def mirrored_scan(scan: OutlinedScan) -> OutlinedScan:
    """The scan with left and right exchanged."""
    table = np.array([0, RIGHT_CORTEX, LEFT_CORTEX, RIGHT_WHITE, LEFT_WHITE, *VERMIS], dtype=np.uint8)
    return OutlinedScan(
        np.ascontiguousarray(scan.t1w[::-1]),
        table[scan.manual[::-1]],
        np.ascontiguousarray(~scan.left[::-1]),
        mirrored(np.ascontiguousarray(scan.opinions[:, ::-1])),
    )


def drawn_outlined(scan: OutlinedScan, surroundings: Geometry) -> tuple[OutlinedScan, Volume]:
    """A scan deformed, mirrored or not, and how it looks with flaws and perhaps a head around it.

    Draws from torch's global generator.

    Parameters
    ----------
    scan : OutlinedScan
    surroundings : Geometry
        Whose scalp, bone and vessels are put around a brain-extracted scan.

    Returns
    -------
    deformed : OutlinedScan
        The image without flaws, for the sets that its voxels allow.
    seen : (X, Y, Z) float32
    """
    grid = random_grid(cerebellum_box(1.0).shape, 1.0, _STRENGTH)
    image = deformed(torch.from_numpy(scan.t1w)[None], grid)[0].numpy()
    maps = np.stack([scan.manual, scan.left.astype(np.uint8), *scan.opinions])
    moved_maps = deformed_labels(torch.from_numpy(maps), grid).numpy()
    moved = OutlinedScan(image, moved_maps[0], moved_maps[1] > 0, moved_maps[2:])
    if torch.rand(1) < 0.5:
        moved = mirrored_scan(moved)
    seen = moved.t1w
    if torch.rand(1) < _SURROUNDED:
        seen = surrounded(seen, surroundings)
    return moved, degraded(torch.from_numpy(np.ascontiguousarray(seen))).numpy()


def surrounded(t1w: Volume, geometry: Geometry) -> Volume:
    """A brain-extracted scan with the tissues of another head where it is empty; fluid where that has brain."""
    empty = _empty(t1w)
    tissue = geometry.codes[::2, ::2, ::2]
    intensities = random_intensities("T1-like").numpy()
    brain = np.isin(tissue, [TISSUES.index(name) for name in ("CSF", "GM", "WM")]) | (tissue >= LABELLED)
    around = np.where(brain, intensities[TISSUES.index("CSF")], intensities[np.where(brain, 0, tissue)])
    soft = functional.avg_pool3d(torch.from_numpy(around.astype(np.float32))[None, None], 3, 1, 1)[0, 0].numpy()
    return np.where(empty, soft, t1w).astype(np.float32)


def _empty(t1w: Volume) -> NDArray[np.bool_]:
    """Where a brain extraction left nothing: large connected parts of the darkest voxels."""
    nothing, count = ndimage.label(t1w < 5)
    if not count:
        return np.zeros(t1w.shape, dtype=bool)
    sizes = np.bincount(nothing.ravel())
    sizes[0] = 0
    return np.asarray(sizes[nothing] > 1000)


def allowed_sides(scan: OutlinedScan) -> NDArray[np.int32]:
    """Classes of the first network that each voxel may have, as bits ``1 << class``; (X, Y, Z).

    Dark voxels inside the outline may be background: small fissures that the scan shows are open.
    """
    manual = scan.manual
    own = np.select(
        [np.isin(manual, (LEFT_CORTEX, LEFT_WHITE)), np.isin(manual, (RIGHT_CORTEX, RIGHT_WHITE)), manual > 0],
        [LEFT, RIGHT, LEFT | RIGHT],
        BACKGROUND,
    )
    return np.where((manual > 0) & (scan.t1w < DARK), own | BACKGROUND, own).astype(np.int32)


def allowed_structures(scan: OutlinedScan) -> NDArray[np.int32]:
    """Classes of the second network that each voxel may have, as bits ``1 << class``; (X, Y, Z)."""
    white = 1 << _WHITE
    lobules = sum(1 << k for k, name in enumerate(STRUCTURES, start=1) if k != _WHITE)
    groups = [sum(1 << (STRUCTURES.index(name) + 1) for name in names) for names in _VERMIS_GROUPS]
    table = np.array([1, lobules, lobules, white, white, *groups], dtype=np.int32)
    own = table[scan.manual]
    grey = np.isin(scan.manual, (LEFT_CORTEX, RIGHT_CORTEX, *VERMIS))
    own = np.where(grey & (scan.t1w > BRIGHT), own | white, own)
    if len(scan.opinions):
        said = own & np.bitwise_or.reduce(1 << structure_of(scan.opinions).astype(np.int32), axis=0)
        # What both call something that the hand excludes is left to the hand.
        own = np.where((scan.manual > 0) & (said & ~BACKGROUND > 0), said & ~BACKGROUND, own)
    return np.where((scan.manual > 0) & (scan.t1w < DARK), own | BACKGROUND, own).astype(np.int32)


def check_figures(
    scan: OutlinedScan, dseg: LabelMap
) -> dict[Literal["dice", "volume", "dice open", "volume open"], float]:
    """Dice and ratio of volumes of the whole, all voxels, and without dark ones inside the manual outline."""
    found, true = dseg > 0, scan.manual > 0
    figures = {}
    for suffix, counted in (("", np.ones_like(true)), (" open", ~(true & (scan.t1w < DARK)))):
        one, other = found & counted, true & counted
        figures[f"dice{suffix}"] = 2 * float((one & other).sum()) / float(one.sum() + other.sum())
        figures[f"volume{suffix}"] = float(one.sum() / other.sum())
    return figures  # type: ignore[return-value]
