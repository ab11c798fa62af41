"""The MNI152NLin2009aSym template as nilearn carries it: T1, tissues and masks on its own grid."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial.space import Grid, Volume


@cache
def t1w(resolution: int) -> tuple[Volume, Grid]:
    """The brain-extracted T1-weighted template.

    Parameters
    ----------
    resolution : int
        Edge of a voxel in millimetres.

    Returns
    -------
    image : (X, Y, Z) float32
        0 to 1.
    grid : Grid
        In the MNI frame.
    """
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=resolution)
    return image.get_fdata(dtype=np.float32), Grid.of(image)


@cache
def tissue_probabilities() -> tuple[Volume, Volume, Grid]:
    """Probabilities of grey and of white matter, 1 mm.

    Returns
    -------
    gm, wm : (X, Y, Z) float32
    grid : Grid
        In the MNI frame.
    """
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    gm, wm = load_mni152_gm_template(resolution=1), load_mni152_wm_template(resolution=1)
    return gm.get_fdata(dtype=np.float32), wm.get_fdata(dtype=np.float32), Grid.of(gm)


@cache
def brain_mask(resolution: int) -> NDArray[np.bool_]:
    """Brain with ventricles and sulci: nilearn's mask, closed by 6 mm and filled, (X, Y, Z)."""
    from nilearn.datasets import load_mni152_brain_mask

    mask = load_mni152_brain_mask(resolution=resolution).get_fdata() > 0
    margin = 10  # closing must not see the edge of the grid
    closed = ndimage.binary_closing(np.pad(mask, margin), iterations=round(6 / resolution))
    inner = slice(margin, -margin)
    return np.asarray(ndimage.binary_fill_holes(closed[inner, inner, inner]))


@cache
def brain_mask_within(resolution: int, distance_mm: float) -> NDArray[np.bool_]:
    """`brain_mask` grown by a distance, or shrunk where it is negative, (X, Y, Z).

    Parameters
    ----------
    resolution : int
        Edge of a voxel in millimetres.
    distance_mm : float
    """
    mask = brain_mask(resolution)
    if distance_mm < 0:
        return np.asarray(ndimage.distance_transform_edt(mask, sampling=resolution) > -distance_mm)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=resolution) <= distance_mm)
