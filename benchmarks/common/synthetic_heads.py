"""T1-weighted heads made from whole-head label maps: the same head with and without its skull.

Label maps as in SynthSeg's `training_label_maps`: FreeSurfer codes below 200 inside the skull, 500 to 530 outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial.space import Grid, Volume, apply

CEREBELLUM = (7, 8, 46, 47)

_FLUID = (4, 5, 14, 15, 24, 30, 43, 44, 62, 72)
_CORTEX = (3, 42)
_CEREBELLAR_CORTEX = (8, 47)
_WHITE = (2, 7, 16, 28, 41, 46, 60, 77, 85)
_OUTSIDE = {  # range of T1-weighted intensity, white matter is about 0.9
    502: (0.1, 0.5),
    506: (0.1, 0.5),
    507: (0.35, 0.8),
    508: (0.1, 0.5),
    509: (0.15, 0.5),
    511: (0.4, 1.0),
    512: (0.7, 0.9),
    514: (0.1, 0.6),
    515: (0.03, 0.15),
    516: (0.4, 1.1),
    530: (0.1, 0.5),
}


@dataclass(frozen=True)
class SyntheticHead:
    """One head.

    Attributes
    ----------
    whole, stripped : (X, Y, Z) float32
        The same image with skull and brain-extracted.
    grid : Grid
        Native.
    cerebellum_mm : (N, 3) float
        Centres of all cerebellar voxels, native.
    icv_cm3 : float
        Volume inside the skull, counted.
    """

    whole: Volume
    stripped: Volume
    grid: Grid
    cerebellum_mm: NDArray[np.float64]
    icv_cm3: float


def synthetic_head(path: Path, seed: int) -> SyntheticHead:
    """Render a label map with noise (3%), bias (12% at 4 x 4 x 4 points) and partial volume.

    Parameters
    ----------
    path : Path
        Label map.
    seed : int
    """
    rng = np.random.default_rng(seed)
    stored = nib.as_closest_canonical(nib.load(path))
    dseg = np.asanyarray(stored.dataobj)
    grid = Grid.of(stored)
    level = np.zeros(600, dtype=np.float32)
    level[1:200] = 0.65
    for codes, value in ((_FLUID, 0.2), (_CORTEX, 0.6), (_CEREBELLAR_CORTEX, 0.58), (_WHITE, 0.92)):
        level[list(codes)] = value
    for code, limits in _OUTSIDE.items():
        level[code] = rng.uniform(*limits)
    image = ndimage.gaussian_filter(level[dseg], 0.6)
    bias = ndimage.zoom(rng.normal(0.0, 0.12, (4, 4, 4)), np.array(dseg.shape) / 4, order=3)
    image = np.clip(image * np.exp(bias) + rng.normal(0.0, 0.03, dseg.shape), 0.0, None)
    whole = (1000.0 * image).astype(np.float32)
    inside = (dseg > 0) & (dseg < 200)
    return SyntheticHead(
        whole=whole,
        stripped=np.where(_extracted(inside, dseg), whole, np.float32(0.0)),
        grid=grid,
        cerebellum_mm=apply(grid.affine, np.argwhere(np.isin(dseg, CEREBELLUM)).astype(float)),
        icv_cm3=float(inside.sum() * grid.voxel_volume_mm3 / 1000.0),
    )


def _extracted(inside: NDArray[np.bool_], dseg: NDArray[np.integer]) -> NDArray[np.bool_]:
    """What a brain extraction leaves: brain, ventricles, sulci and a rim of 1 mm, not the wide outer fluid."""
    margin = 8
    tissue = np.pad(inside & (dseg != 24), margin)
    closed = ndimage.binary_closing(tissue, iterations=5)[margin:-margin, margin:-margin, margin:-margin]
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_dilation(closed) & inside))
