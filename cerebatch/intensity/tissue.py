"""Intensities that mean the same in every scan: piecewise linear mapping of tissue means.

The means of cerebrospinal fluid, grey and white matter are found robustly, in the spirit of the trimmed mean
segmentation of Manjón et al. (2008), and mapped to fixed targets as in Manjón and Coupé (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.errors import StageError
from cerebatch.spatial import template
from cerebatch.spatial.space import Affine, Grid, Volume, resample

Contrast = Literal["T1w", "T2w"]


@dataclass(frozen=True)
class TissueMeans:
    """Mean intensity of the three tissues.

    Attributes
    ----------
    csf, gm, wm : float
    """

    csf: float
    gm: float
    wm: float

    def as_array(self) -> NDArray[np.float64]:
        """CSF, GM, WM."""
        return np.array([self.csf, self.gm, self.wm])


TARGETS: dict[Contrast, TissueMeans] = {
    "T1w": TissueMeans(csf=50.0, gm=150.0, wm=250.0),
    "T2w": TissueMeans(csf=250.0, gm=150.0, wm=100.0),
}
"""Where the means go. Background stays 0; `CEILING` bounds what is brighter than any tissue."""

CEILING = 500.0

_LEAST_VOXELS = 200
_ROUNDS = 20
_INNER_MM = 10.0
_FLUID_BELOW = 0.6
"""In a T1-weighted scan fluid is darker than this share of grey matter; what lies between is mixed."""


@dataclass(frozen=True)
class TissueMaps:
    """What the template knows of a scan's tissues, on the scan's grid.

    Attributes
    ----------
    gm, wm : (X, Y, Z) float32
        Probabilities.
    brain, inner : (X, Y, Z) bool
        The brain, and what lies deep inside it.
    """

    gm: Volume
    wm: Volume
    brain: NDArray[np.bool_]
    inner: NDArray[np.bool_]


def tissue_maps(grid: Grid, mni_from_native: Affine) -> TissueMaps:
    """Bring the template's tissues to a scan.

    Parameters
    ----------
    grid : Grid
        Native.
    mni_from_native : (4, 4) float
    """
    gm_map, wm_map, map_grid = template.tissue_probabilities()
    _, mask_grid = template.t1w(2)
    brain, inner = (
        resample(mask.astype(np.float32), mask_grid, grid, mni_from_native, order=1) > 0.5
        for mask in (template.brain_mask(2), template.brain_mask_within(2, -_INNER_MM))
    )
    gm, wm = (resample(probability, map_grid, grid, mni_from_native, order=1) for probability in (gm_map, wm_map))
    return TissueMaps(gm, wm, brain, inner)


def tissue_classes(image: Volume, maps: TissueMaps) -> NDArray[np.uint8]:
    """Voxels of a T1-weighted scan that surely are CSF (1), GM (2) or WM (3); 0 elsewhere.

    Template probabilities give first means of GM and WM. Then, in rounds: voxels on edges are left out, for
    they mix tissues; each other voxel goes to the nearer mean; each mean is taken from the middle half of its
    voxels. CSF is what is clearly darker, deep inside the brain, where no extraction has cut and no bone is.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Zeros were cut out by somebody and are ignored.
    maps : TissueMaps
        On the image's grid.

    Raises
    ------
    StageError
        The order of the means is not that of a T1-weighted scan.
    """
    brain, inner = maps.brain & (image > 0), maps.inner & (image > 0)
    slope = ndimage.gaussian_gradient_magnitude(image, 1.0)
    flat = brain & (slope <= np.median(slope[brain]))

    gray, white = float(np.median(image[brain & (maps.gm > 0.8)])), float(np.median(image[brain & (maps.wm > 0.9)]))
    values = image[flat]
    for _ in range(_ROUNDS):
        _check_order(gray, white)
        tissue = values > _FLUID_BELOW * gray
        bright = values > (gray + white) / 2
        updated = _middle_mean(values[tissue & ~bright], gray), _middle_mean(values[bright], white)
        if np.allclose(updated, (gray, white), rtol=1e-4):
            break
        gray, white = updated
    _check_order(gray, white)
    reach = (white - gray) / 2
    classes = np.zeros(image.shape, dtype=np.uint8)
    classes[flat & inner & (image < _FLUID_BELOW * gray)] = 1
    classes[flat & (np.abs(image - gray) <= reach)] = 2
    classes[flat & (np.abs(image - white) < reach)] = 3
    return classes


def has_fluid(classes: NDArray[np.uint8]) -> bool:
    """Whether `tissue_classes` found enough CSF to measure its mean."""
    return int(np.sum(classes == 1)) >= _LEAST_VOXELS


def tissue_means(image: Volume, classes: NDArray[np.uint8], contrast: Contrast) -> TissueMeans:
    """Means of the middle half of each tissue's voxels.

    Parameters
    ----------
    image : (X, Y, Z) float32
    classes : (X, Y, Z) uint8
        From `tissue_classes`.
    contrast : {"T1w", "T2w"}
        Of the image. Where an extraction left no CSF, its mean stands to that of GM as in `TARGETS`.
    """
    target = TARGETS[contrast]
    gm, wm = (_middle_mean(image[classes == k], fallback=0.0) for k in (2, 3))
    return TissueMeans(_middle_mean(image[classes == 1], fallback=gm * target.csf / target.gm), gm, wm)


def normalised(image: Volume, means: TissueMeans, contrast: Contrast) -> Volume:
    """Map the tissue means to `TARGETS` by a piecewise linear function through 0.

    Parameters
    ----------
    image : (X, Y, Z) float32
    means : TissueMeans
        Of this image.
    contrast : {"T1w", "T2w"}
        Decides the targets.

    Raises
    ------
    StageError
        The means are not in the order of the contrast.
    """
    source, target = means.as_array(), TARGETS[contrast].as_array()
    order = np.argsort(target)
    knots = np.concatenate([[0.0], source[order]])
    levels = np.concatenate([[0.0], target[order]])
    if not np.all(np.diff(knots) > 0):
        raise StageError(
            f"normalisation: expected tissue means in the order of a {contrast} scan, found CSF {means.csf:.1f}, "
            f"GM {means.gm:.1f}, WM {means.wm:.1f}. Check that the file is what its name says."
        )
    slope = (levels[-1] - levels[-2]) / (knots[-1] - knots[-2])
    top = knots[-1] + (CEILING - levels[-1]) / slope
    return np.asarray(np.interp(image, [*knots, top], [*levels, CEILING]), dtype=np.float32)


def _middle_mean(values: Volume, fallback: float) -> float:
    if values.size < _LEAST_VOXELS:
        return fallback
    low, high = np.percentile(values, [25, 75])
    return float(values[(values >= low) & (values <= high)].mean())


def _check_order(gray: float, white: float) -> None:
    if not 0 < gray < 0.98 * white:
        raise StageError(
            f"normalisation: expected a T1-weighted scan (grey darker than white matter), found means of {gray:.1f} "
            f"and {white:.1f}. Check that the file is T1-weighted."
        )
