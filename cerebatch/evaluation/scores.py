"""Dice, distance and volume of a predicted map against the truth, by structure, lobe and for the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import LabelMapError
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS, LOBES
from cerebatch.measures.overlap import SCORED, dice, dice_by_structure, hausdorff95_mm, mean_dice
from cerebatch.spatial.space import Grid, LabelMap, apply, resample_labels

WHOLE = "cerebellum"
MEANS = (f"mean of {len(LABELS)} structures", f"mean of {len(SCORED)} structures")
"""Names of the means over structures: all, and without I-II."""

NAN = float("nan")


@dataclass(frozen=True)
class Region:
    """Labels that are scored together.

    Attributes
    ----------
    name : str
        "Left Crus I", "left anterior lobe", "cerebellum".
    kind : {"structure", "lobe", "whole"}
    codes : tuple of int
    """

    name: str
    kind: str
    codes: tuple[int, ...]


def regions() -> Iterator[Region]:
    """The 26 structures, the lobes of each side and of both, and all 26 structures together."""
    for label in LABELS:
        yield Region(label.name, "structure", (label.index,))
    for lobe in LOBES:
        words = lobe.replace("_", "-")
        of_lobe = [label for label in LABELS if label.lobe == lobe]
        for side in ("left", "right"):
            codes = tuple(label.index for label in of_lobe if label.side == side)
            yield Region(f"{side} {words} lobe", "lobe", codes)
        yield Region(f"{words} lobe", "lobe", tuple(label.index for label in of_lobe))
    for side in ("left", "right"):
        yield Region(f"{side} {WHOLE}", "whole", tuple(label.index for label in LABELS if label.side == side))
    yield Region(WHOLE, "whole", tuple(label.index for label in LABELS))


@dataclass(frozen=True)
class Score:
    """How well one region of one case agrees; NaN where there is nothing to tell.

    Attributes
    ----------
    region, kind : str
        Of `Region`; a mean over structures has kind "mean".
    dice : float
    hausdorff95_mm : float
        Larger of the 95th percentiles of the distances between the surfaces, both ways; NaN where a map lacks the
        region. A mean is that of the structures that both maps hold.
    predicted_cm3, truth_cm3 : float
        Each counted on its own grid; NaN for means.
    """

    region: str
    kind: str
    dice: float
    hausdorff95_mm: float
    predicted_cm3: float = NAN
    truth_cm3: float = NAN

    @property
    def difference_cm3(self) -> float:
        """Predicted less true volume."""
        return self.predicted_cm3 - self.truth_cm3

    @property
    def difference_percent(self) -> float:
        """Of the true volume; NaN where that is 0."""
        return 100 * self.difference_cm3 / self.truth_cm3 if self.truth_cm3 else NAN


def score_files(predicted: Path, truth: Path) -> list[Score]:
    """Score a map against the truth; the predicted map is brought to the grid of the true one.

    Parameters
    ----------
    predicted, truth : Path
        Cerebatch codes, both in one frame.

    Raises
    ------
    LabelMapError
        No such map, codes outside the protocol, or no voxel that both label.
    """
    ours, our_grid = read_dseg(predicted)
    theirs, their_grid = read_dseg(truth)
    placed = resample_labels(ours, our_grid, their_grid, np.eye(4))
    if not ((placed > 0) & (theirs > 0)).any():
        centres = [
            apply(grid.affine, np.argwhere(dseg).astype(np.float64)).mean(axis=0)
            for dseg, grid in ((ours, our_grid), (theirs, their_grid))
        ]
        apart_mm = float(np.linalg.norm(centres[0] - centres[1]))
        raise LabelMapError(
            predicted,
            expected=f"labels that overlap those of {truth.name}",
            found=f"none that do; the centres are {apart_mm:.0f} mm apart",
            do="Compare native maps with native ones and MNI maps with MNI ones, and check the headers.",
        )
    volumes = [
        np.bincount(dseg.ravel(), minlength=len(LABELS) + 1) * grid.voxel_volume_mm3 / 1000
        for dseg, grid in ((ours, our_grid), (theirs, their_grid))
    ]
    return score(placed, theirs, their_grid, *volumes)


def score(
    predicted: LabelMap,
    truth: LabelMap,
    grid: Grid,
    predicted_cm3: NDArray[np.float64],
    truth_cm3: NDArray[np.float64],
) -> list[Score]:
    """Score a map against the truth.

    Parameters
    ----------
    predicted, truth : (X, Y, Z) uint8
        Cerebatch codes on `grid`.
    grid : Grid
    predicted_cm3, truth_cm3 : (27,) float
        Volume of each code.

    Returns
    -------
    scores : list of Score
        `regions` in their order, then `MEANS`.
    """
    found = []
    for region in regions():
        codes = list(region.codes)
        one, other = _together(np.isin(predicted, codes), np.isin(truth, codes))
        away_mm = hausdorff95_mm(one, other, grid) if one.any() and other.any() else NAN
        found.append(
            Score(
                region.name,
                region.kind,
                dice(one, other),
                away_mm,
                float(predicted_cm3[codes].sum()),
                float(truth_cm3[codes].sum()),
            )
        )
    away = np.array([each.hausdorff95_mm for each in found[: len(LABELS)]])
    means = (float(np.nanmean(dice_by_structure(predicted, truth))), mean_dice(predicted, truth))
    for name, mean, chosen in zip(MEANS, means, (away, away[np.array(SCORED) - 1]), strict=True):
        found.append(Score(name, "mean", mean, float(np.nanmean(chosen)) if np.isfinite(chosen).any() else NAN))
    return found


def _together(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks cut to the block that holds both, a voxel of background around it."""
    either = one | other
    if not either.any():
        return one[:1, :1, :1], other[:1, :1, :1]
    slices = []
    for axis in range(3):
        held = np.flatnonzero(either.any(axis=tuple(k for k in range(3) if k != axis)))
        slices.append(slice(int(held[0]), int(held[-1]) + 1))
    block = tuple(slices)
    return np.pad(one[block], 1), np.pad(other[block], 1)
