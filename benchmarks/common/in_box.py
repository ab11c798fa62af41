"""Labels in the cerebellum box against what is known of a real scan: for networks in training, no native output."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.outlines import outline_figures, spill_cm3
from cerebatch.evaluation.protocols import Protocol, in_box, read_protocol
from cerebatch.spatial.space import Affine, LabelMap, Volume, cerebellum_box


@dataclass(frozen=True)
class BoxTruth:
    """What is known of one scan, in the box.

    Attributes
    ----------
    protocol : Protocol
    other : (X, Y, Z) uint8
        Numbers of `Protocol.merge_other`.
    t1w : (X, Y, Z) float32
        Prepared.
    resolution : float
        Edge of a voxel of the box in millimetres.
    voxel_mm3 : float
        What a voxel stands for in the head.
    """

    protocol: Protocol
    other: LabelMap
    t1w: Volume
    resolution: float
    voxel_mm3: float


def read_box_truth(
    path: Path, protocol: str, t1w: Volume, mni_from_native: Affine, resolution: float = 1.0
) -> BoxTruth:
    """Bring a native map of another protocol to the box.

    Parameters
    ----------
    path : Path
        Manual outline, or another tool's map, in the frame of the scan.
    protocol : str
        One of `protocols.PROTOCOLS`.
    t1w : (X, Y, Z) float32
        Prepared, in the box.
    mni_from_native : (4, 4) float
        What `prepare` found.
    resolution : float
        Edge of a voxel of the box in millimetres.

    Raises
    ------
    LabelMapError, SettingsError
        As `Protocol.read` and `read_protocol`.
    """
    table = read_protocol(protocol)
    merged, grid = table.read(path)
    box = cerebellum_box(resolution)
    voxel_mm3 = box.voxel_volume_mm3 / float(np.linalg.det(mni_from_native[:3, :3]))
    return BoxTruth(table, in_box(merged, grid, mni_from_native, resolution), t1w, resolution, voxel_mm3)


def score_in_box(dseg: LabelMap, truth: BoxTruth) -> dict[str, float]:
    """Figures of labels in the box, NaN where there is nothing to tell.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes in the box.
    truth : BoxTruth

    Returns
    -------
    figures : dict
        Of "manual-outline" what `outlines.OutlineFigures` holds. Of other protocols ``regions`` (mean Dice),
        ``names``, ``common``, ``vermis``, ``whole``, ``volume_ratio`` (`agreement.Agreement`), ``missed_cm3`` (called
        cerebellum by the other map alone), ``spill_lobules_cm3`` and ``spill_white_cm3`` (`outlines.spill_cm3`).
    """
    box = cerebellum_box(truth.resolution)
    if truth.protocol.name == "manual-outline":
        return asdict(outline_figures(dseg, truth.other, truth.t1w, box, truth.protocol, voxel_mm3=truth.voxel_mm3))
    found = agreement(dseg, truth.other, truth.protocol)
    in_head = truth.voxel_mm3 / box.voxel_volume_mm3
    lobules, white = spill_cm3(dseg, truth.other > 0, box)
    return {
        "regions": found.region_dice,
        "names": found.names,
        "common": found.common_dice,
        "vermis": found.groups,
        "whole": found.whole,
        "volume_ratio": found.volume_ratio,
        "missed_cm3": float(((truth.other > 0) & (dseg == 0)).sum() * truth.voxel_mm3 / 1000),
        "spill_lobules_cm3": lobules * in_head,
        "spill_white_cm3": white * in_head,
    }
