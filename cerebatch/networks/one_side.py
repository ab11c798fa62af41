"""The second network sees one side at a time, turned as a left one: what it is given, and how its answer is read.

Images are kept inside the closed and dilated mask of the side, so that fissures and the border are seen; what lies
outside is as dark as the darkest voxel. (Zero would be the grey of cortex: images are z-scored.)
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cerebatch.labels import side_of, structure_of
from cerebatch.networks.inputs import LOBULES, SIDES, crop_around, sides_of
from cerebatch.spatial.space import LabelMap, Volume

_LEFT = 1
_CLOSING_MM, _MARGIN_MM = 2.0, 2.0
"""By how much a mask is closed, and then dilated."""


def one_hot(codes: LabelMap | None, classes: int, shape: tuple[int, ...]) -> Volume:
    """An atlas as one channel a class, (K, X, Y, Z) float32; zeros throughout where there is none."""
    channels = np.zeros((classes, *shape), dtype=np.float32)
    if codes is not None:
        np.put_along_axis(channels, codes[None].astype(np.intp), np.float32(1), axis=0)
    return channels


def whole_input(t1w: Volume, t2w: Volume, atlas: LabelMap | None) -> Volume:
    """Input of the first network, (2 + 3, X, Y, Z) float32."""
    own = None if atlas is None else sides_of(atlas)
    return np.concatenate([np.stack([t1w, t2w]), one_hot(own, SIDES, t1w.shape)])


def seen_mask(side: NDArray[np.bool_], resolution: float = 1.0) -> NDArray[np.bool_]:
    """Closed and dilated mask of a side.

    Parameters
    ----------
    side : (X, Y, Z) bool
        What the first network found of it, holes where the fissures are.
    resolution : float
        Edge of a voxel in millimetres.
    """
    closing, margin = (round(reach / resolution) for reach in (_CLOSING_MM, _MARGIN_MM))
    mask = torch.from_numpy(side.astype(np.float32))[None, None]
    grown = _dilated(mask, closing)
    closed = 1 - _dilated(1 - grown, closing)
    return np.asarray(_dilated(closed, margin)[0, 0].numpy() > 0.5)


def _dilated(mask: torch.Tensor, voxels: int) -> torch.Tensor:
    return functional.max_pool3d(mask, 2 * voxels + 1, stride=1, padding=voxels)


def left_structures(dseg: LabelMap) -> LabelMap:
    """Classes of the second network on the left; the right side is background."""
    return np.where(side_of(dseg) == _LEFT, structure_of(dseg), np.uint8(0))


def side_input(
    t1w: Volume, t2w: Volume, atlas: LabelMap | None, mask: NDArray[np.bool_]
) -> tuple[Volume, tuple[slice, slice, slice]]:
    """Input of the second network for one side, and the block of the box that it covers.

    Parameters
    ----------
    t1w, t2w : (X, Y, Z) float32
        Of `inputs.image_channel`, turned so that the side is the left one.
    atlas : (X, Y, Z) uint8 or None
        Cerebatch codes, turned likewise; those of the other side are background.
    mask : (X, Y, Z) bool
        Of `seen_mask`.

    Returns
    -------
    seen : (2 + 14, x, y, z) float32
    block : tuple of slice
    """
    block = crop_around(mask)
    inside = mask[block]
    images = [np.where(inside, image[block], image.min()) for image in (t1w, t2w)]
    own = None if atlas is None else left_structures(atlas[block])
    return np.concatenate([np.stack(images), one_hot(own, LOBULES, inside.shape)]), block
