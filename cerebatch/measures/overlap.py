"""How well two segmentations of one cerebellum agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.labels import LABELS
from cerebatch.spatial.space import Grid, LabelMap

LEFT_OUT = "I-II"
"""Structure of a few voxels that means of Dice leave out, on both sides."""

SCORED = tuple(label.index for label in LABELS if label.structure != LEFT_OUT)
"""Codes of the 24 structures that means of Dice are taken over."""


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks; NaN where both are empty.

    Parameters
    ----------
    one, other : (X, Y, Z) bool
    """
    size = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / size) if size else float("nan")


def dice_by_structure(predicted: LabelMap, truth: LabelMap) -> NDArray[np.float64]:
    """Dice of each of the 26 structures, in the order of their codes; NaN where both maps lack one.

    Parameters
    ----------
    predicted, truth : (X, Y, Z) uint8
        Cerebatch codes on one grid.
    """
    end = len(LABELS) + 1
    sizes = np.bincount(predicted.ravel(), minlength=end) + np.bincount(truth.ravel(), minlength=end)
    common = np.bincount(truth[predicted == truth], minlength=end)
    scores: NDArray[np.float64] = np.divide(2.0 * common, sizes, out=np.full(end, np.nan), where=sizes > 0)
    return scores[1:]


def mean_dice(predicted: LabelMap, truth: LabelMap) -> float:
    """Mean Dice over the 24 structures of `SCORED`.

    Parameters
    ----------
    predicted, truth : (X, Y, Z) uint8
        Cerebatch codes on one grid.
    """
    return float(np.nanmean(dice_by_structure(predicted, truth)[np.array(SCORED) - 1]))


def hausdorff95_mm(one: NDArray[np.bool_], other: NDArray[np.bool_], grid: Grid) -> float:
    """95th percentile of the distances between the surfaces of two masks, the larger of both directions.

    Parameters
    ----------
    one, other : (X, Y, Z) bool
        Neither is empty.
    grid : Grid
    """
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    away = [ndimage.distance_transform_edt(~surface, sampling=grid.voxel_sizes_mm) for surface in surfaces]
    return float(max(np.percentile(away[1][surfaces[0]], 95), np.percentile(away[0][surfaces[1]], 95)))


def largest_piece_share(mask: NDArray[np.bool_]) -> float:
    """Share of a mask's voxels in its largest piece, voxels that touch at a corner counted as joined.

    Parameters
    ----------
    mask : (X, Y, Z) bool
        Not empty.
    """
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return float(np.bincount(pieces[mask])[1:].max() / np.count_nonzero(mask))
