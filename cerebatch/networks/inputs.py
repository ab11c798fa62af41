"""What the networks see and what they name: channels, masks, and classes of the two stages of the cascade."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from cerebatch.intensity.standardise import standardised
from cerebatch.labels import STRUCTURES, side_of, structure_of
from cerebatch.spatial import template
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box, resample

SIDES = 3
"""Classes of the first network: background, left, right."""

LOBULES = len(STRUCTURES) + 1
"""Classes of the second network: background and the structures of a side."""

_MARGIN_MM = 8.0
_CROP_MULTIPLE = 8


@cache
def brain_region(resolution: float) -> NDArray[np.bool_]:
    """Where the box can hold brain: the template's brain and 8 mm around it; the networks see nothing else.

    Parameters
    ----------
    resolution : float
        Edge of the MNI grid in millimetres.

    Returns
    -------
    region : (X, Y, Z) bool
    """
    mask = template.brain_mask_within(1, _MARGIN_MM).astype(np.float32)
    _, grid = template.t1w(1)
    return np.asarray(resample(mask, grid, cerebellum_box(resolution), np.eye(4), order=1) > 0.5)


def image_channel(image: Volume | None, region: NDArray[np.bool_]) -> Volume:
    """An image as a network sees it: z-scored over the region, everything outside it dark.

    Parameters
    ----------
    image : (X, Y, Z) float32 or None
        Prepared scan; None: there is none, and the channel is zero.
    region : (X, Y, Z) bool
    """
    if image is None:
        return np.zeros(region.shape, dtype=np.float32)
    return standardised(np.where(region, image, np.float32(0)), region)


def sides_of(dseg: LabelMap) -> LabelMap:
    """Classes of the first network: 0, 1 left, 2 right."""
    return side_of(dseg)


def lobules_of(dseg: LabelMap) -> LabelMap:
    """Classes of the second network: codes of the left side for both sides."""
    return structure_of(dseg)


def sides_input(t1w: Volume, t2w: Volume, atlas: LabelMap | None) -> Volume:
    """Input of the first network, (3, X, Y, Z) float32.

    Parameters
    ----------
    t1w, t2w : (X, Y, Z) float32
        Of `image_channel`.
    atlas : (X, Y, Z) uint8 or None
    """
    channel = np.zeros_like(t1w) if atlas is None else sides_of(atlas).astype(np.float32) / (SIDES - 1)
    return np.stack([t1w, t2w, channel])


def lobules_input(t1w: Volume, t2w: Volume, atlas: LabelMap | None, cerebellum: NDArray[np.bool_]) -> Volume:
    """Input of the second network: images multiplied by the mask of the cerebellum; (3, X, Y, Z) float32.

    Parameters
    ----------
    t1w, t2w : (X, Y, Z) float32
        Of `image_channel`.
    atlas : (X, Y, Z) uint8 or None
    cerebellum : (X, Y, Z) bool
        What the first network found.
    """
    channel = np.zeros_like(t1w) if atlas is None else lobules_of(atlas).astype(np.float32) / (LOBULES - 1)
    return np.stack([t1w * cerebellum, t2w * cerebellum, channel])


def crop_around(cerebellum: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The block around a mask that the second network is given; it begins and ends at multiples of 8.

    The mirrored mask has the mirrored block, and subsampling falls on the same voxels whatever the mask.

    Parameters
    ----------
    cerebellum : (X, Y, Z) bool
        On a box whose sides are divisible by 8; an empty mask gives the whole box.
    """
    block: list[slice] = []
    for axis, size in enumerate(cerebellum.shape):
        found = np.flatnonzero(cerebellum.any(axis=tuple({0, 1, 2} - {axis})))
        first, last = (int(found[0]), int(found[-1])) if found.size else (0, size - 1)
        stop = min(size, (last // _CROP_MULTIPLE + 1) * _CROP_MULTIPLE)
        block.append(slice(first // _CROP_MULTIPLE * _CROP_MULTIPLE, stop))
    return (block[0], block[1], block[2])
