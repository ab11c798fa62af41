"""The MNI152NLin2009aSym template as nilearn carries it: T1, tissues and masks on its own grid."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.io.files import require_empty, write_image, write_json
from cerebatch.spatial.space import TEMPLATE_SPACE, Grid, Volume

NAME = "sub-mni152"
"""The template as a person of a dataset."""


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


def write_dataset(out_dir: Path) -> Path:
    """Write the T1-weighted template as a BIDS dataset of one brain-extracted person: a real image, always at hand.

    Parameters
    ----------
    out_dir : Path
        Made where missing; must be empty.

    Returns
    -------
    scan : Path

    Raises
    ------
    DatasetError
        The folder holds something already.
    """
    require_empty(out_dir)
    image, grid = t1w(1)
    scan = out_dir / NAME / "anat" / f"{NAME}_T1w.nii.gz"
    write_image(scan, np.rint(1000 * image).astype(np.int16), grid, "native")
    write_json(scan.with_name(f"{NAME}_T1w.json"), {"Description": TEMPLATE_SPACE, "SkullStripped": True})
    write_json(
        out_dir / "dataset_description.json",
        {"Name": f"The template {TEMPLATE_SPACE} as a scan", "BIDSVersion": "1.10.0", "DatasetType": "raw"},
    )
    (out_dir / "README").write_text(f"The T1-weighted average of many people ({TEMPLATE_SPACE}, Fonov et al. 2011).\n")
    return scan
