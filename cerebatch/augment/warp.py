"""Bending a labelled case onto a target: one displacement for its images, tissues and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import Library
from cerebatch.spatial.space import Field, LabelMap, Volume, warp_labels


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
        As `registration.Registration` gives it.
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
