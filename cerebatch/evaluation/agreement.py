"""How well a label map agrees with one of another protocol (`protocols`): arrays on one grid, and files.

Names alone would flatter: a map that calls little cortex names that little well. They stand beside the Dice of the
regions, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.errors import LabelMapError
from cerebatch.evaluation.protocols import LEFT_OUT, MergedRegion, Protocol
from cerebatch.evaluation.scores import NAN, WHOLE, Score
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS, WHITE_MATTER
from cerebatch.measures.overlap import dice, hausdorff95_mm
from cerebatch.spatial.space import Grid, LabelMap, resample_labels

_LOBULES = [label.index for label in LABELS if label.index not in WHITE_MATTER]


@dataclass(frozen=True)
class RegionScore(Score):
    """A score with the names beside it.

    Attributes
    ----------
    names : float
        Of the voxels that both maps call cortex and the other gives to this region, the share that ours gives to it,
        too. For the mean: of all voxels that both call cortex. For a group: of the group's voxels that ours calls a
        lobule, the share whose lobule belongs to the group. NaN for white matter and the whole.
    """

    names: float = NAN


@dataclass(frozen=True)
class Agreement:
    """Figures of one case; NaN where there is nothing to tell.

    Attributes
    ----------
    dice : dict
        Region -> Dice; groups are none.
    region_dice : float
        Mean over the regions that are cortex.
    names : float
        Share of voxels with the same region among those that both maps call cortex.
    common_dice : float
        `region_dice` where only voxels count that both maps call cortex.
    groups : float
        Share of the groups' voxels that ours calls a lobule whose lobule belongs to its group.
    whole : float
        Dice of the whole, groups included.
    volume_ratio : float
        Of the whole, ours over the other.
    """

    dice: dict[str, float]
    region_dice: float
    names: float
    common_dice: float
    groups: float
    whole: float
    volume_ratio: float


def agreement(dseg: LabelMap, other: LabelMap, protocol: Protocol) -> Agreement:
    """Lay a map over one of another protocol.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    other : (X, Y, Z) uint8
        Numbers of `Protocol.merge_other`, on the same grid.
    protocol : Protocol
    """
    ours, theirs, codes = _comparable(dseg, other, protocol)
    without = ~np.isin(theirs, protocol.numbers("group"))
    cortex = protocol.of_kind("cortex")
    both = np.isin(ours, protocol.numbers("cortex")) & np.isin(theirs, protocol.numbers("cortex"))
    by_region = {
        region.name: dice((ours == region.number) & without, theirs == region.number)
        for region in (*cortex, *protocol.of_kind("white matter"))
    }
    common = [dice((ours == region.number) & both, (theirs == region.number) & both) for region in cortex]
    here, there = ours > 0, theirs > 0
    return Agreement(
        by_region,
        _mean([by_region[region.name] for region in cortex]),
        _share(ours == theirs, both),
        _mean(common),
        _group_share(codes, theirs, protocol.of_kind("group")),
        dice(here, there),
        float(here.sum() / there.sum()) if there.any() else NAN,
    )


def score_against(predicted: Path, other: Path, protocol: Protocol) -> list[RegionScore]:
    """Score a map against one of another protocol; ours is brought to the other's grid.

    Parameters
    ----------
    predicted : Path
        Cerebatch codes.
    other : Path
        Codes of the protocol, in the same frame.
    protocol : Protocol

    Returns
    -------
    scores : list of RegionScore
        Regions (kind "structure"), groups (kind "group": names alone), the whole, the mean over the regions that are
        cortex (kind "mean"). Volumes of regions leave out what is left out of both maps.

    Raises
    ------
    LabelMapError
        Either map is none of its protocol, or no voxel is labelled by both.
    """
    own, own_grid = read_dseg(predicted)
    theirs, grid = protocol.read(other)
    placed = resample_labels(own, own_grid, grid, np.eye(4))
    if not ((placed > 0) & (theirs > 0)).any():
        raise LabelMapError(
            predicted,
            expected=f"labels that overlap those of {other.name}",
            found="none that do",
            do="Both maps must lie in the frame of one scan: give the native dseg, and check the headers.",
        )
    block = ndimage.find_objects(((placed > 0) | (theirs > 0)).astype(np.uint8))[0]
    return score_regions(placed[block], theirs[block], grid.block(block), protocol)


def score_regions(dseg: LabelMap, other: LabelMap, grid: Grid, protocol: Protocol) -> list[RegionScore]:
    """`score_against` for arrays on one grid.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    other : (X, Y, Z) uint8
        Numbers of `Protocol.merge_other`.
    grid : Grid
    protocol : Protocol
    """
    found = agreement(dseg, other, protocol)
    ours, theirs, codes = _comparable(dseg, other, protocol)
    without = ~np.isin(theirs, protocol.numbers("group"))
    both = np.isin(ours, protocol.numbers("cortex")) & np.isin(theirs, protocol.numbers("cortex"))
    scores = []
    for region in protocol.regions:
        there = theirs == region.number
        if region.kind == "group":
            share = _group_share(codes, theirs, (region,))
            scores.append(RegionScore(region.name, "group", NAN, NAN, names=share))
            continue
        here = (ours == region.number) & without
        names = _share(ours == region.number, both & there) if region.kind == "cortex" else NAN
        scores.append(_scored(region.name, "structure", here, there, grid, names))
    scores.append(_scored(WHOLE, "whole", ours > 0, theirs > 0, grid, NAN))
    cortex = {region.name for region in protocol.of_kind("cortex")}
    away = [each.hausdorff95_mm for each in scores if each.region in cortex]
    scores.append(RegionScore(mean_name(protocol), "mean", found.region_dice, _mean(away), names=found.names))
    return scores


def mean_name(protocol: Protocol) -> str:
    """What the mean over the regions that are cortex is called."""
    return f"mean of {len(protocol.of_kind('cortex'))} regions"


def _comparable(dseg: LabelMap, other: LabelMap, protocol: Protocol) -> tuple[LabelMap, LabelMap, LabelMap]:
    """Both maps as numbers of regions, and our codes, without what is left out of both; cut to what they label."""
    held = ndimage.find_objects(((dseg > 0) | (other > 0)).view(np.uint8))
    if held:
        dseg, other = dseg[held[0]], other[held[0]]
    ours = protocol.merge_ours(dseg)
    kept = (ours != LEFT_OUT) & (other != LEFT_OUT)
    nothing = np.uint8(0)
    return np.where(kept, ours, nothing), np.where(kept, other, nothing), np.where(kept, dseg, nothing)


def _group_share(codes: LabelMap, theirs: LabelMap, groups: tuple[MergedRegion, ...]) -> float:
    """Of the groups' voxels that ours calls a lobule, the share whose lobule belongs there."""
    right = labelled = 0
    for group in groups:
        inside = codes[theirs == group.number]
        labelled += int(np.isin(inside, _LOBULES).sum())
        right += int(np.isin(inside, group.ours).sum())
    return right / labelled if labelled else NAN


def _scored(
    name: str, kind: str, here: NDArray[np.bool_], there: NDArray[np.bool_], grid: Grid, names: float
) -> RegionScore:
    both_held = bool(here.any() and there.any())
    block = ndimage.find_objects((here | there).astype(np.uint8))[0] if (here | there).any() else (slice(0, 1),) * 3
    one, two = np.pad(here[block], 1), np.pad(there[block], 1)
    cm3 = grid.voxel_volume_mm3 / 1000
    away = hausdorff95_mm(one, two, grid) if both_held else NAN
    return RegionScore(name, kind, dice(here, there), away, float(here.sum() * cm3), float(there.sum() * cm3), names)


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    total = int(among.sum())
    return float((right & among).sum() / total) if total else NAN


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else NAN
