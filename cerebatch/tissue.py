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

from cerebatch import template
from cerebatch.errors import StageError
from cerebatch.space import Affine, Grid, Volume, resample

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


def tissue_classes(image: Volume, grid: Grid, mask: NDArray[np.bool_], mni_from_native: Affine) -> NDArray[np.uint8]:
    """Voxels of a T1-weighted scan that surely are CSF (1), GM (2) or WM (3); 0 elsewhere.

    Template probabilities give first means. Then, in rounds: voxels on edges are left out, for they mix
    tissues; each other voxel goes to the nearest mean; each mean is taken from the middle half of its voxels.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
        Native.
    mask : (X, Y, Z) bool
        The brain; zeros inside it were cut out by somebody and are ignored.
    mni_from_native : (4, 4) float

    Raises
    ------
    StageError
        The order of the means is not that of a T1-weighted scan.
    """
    gm_map, wm_map, map_grid = template.tissue_probabilities()
    brain = mask & (image > 0)
    gm = resample(gm_map, map_grid, grid, mni_from_native, order=1)
    wm = resample(wm_map, map_grid, grid, mni_from_native, order=1)
    slope = ndimage.gaussian_gradient_magnitude(image, 1.0)
    flat = brain & (slope <= np.median(slope[brain]))

    white = float(np.median(image[brain & (wm > 0.9)]))
    gray = float(np.median(image[brain & (gm > 0.8)]))
    fluid = _ventricle_intensity(image[brain & (gm + wm < 0.05)], gray)
    means = np.array([fluid, gray, white])
    values = image[flat]
    for _ in range(_ROUNDS):
        _check_order(means)
        nearest = np.searchsorted((means[:-1] + means[1:]) / 2, values)
        updated = np.array([_middle_mean(values[nearest == k], means[k]) for k in range(3)])
        if np.allclose(updated, means, rtol=1e-4):
            break
        means = updated
    _check_order(means)
    spread = np.diff(means).min() / 2
    classes = np.zeros(image.shape, dtype=np.uint8)
    for k in range(3):
        classes[flat & (np.abs(image - means[k]) <= spread)] = k + 1
    return classes


def tissue_means(image: Volume, classes: NDArray[np.uint8]) -> TissueMeans:
    """Means of the middle half of each tissue's voxels.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Any contrast.
    classes : (X, Y, Z) uint8
        From `tissue_classes`.
    """
    csf, gm, wm = (_middle_mean(image[classes == k], fallback=0.0) for k in (1, 2, 3))
    return TissueMeans(csf, gm, wm)


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
    if np.any(np.diff(knots) <= 0):
        raise StageError(
            f"normalisation: expected tissue means in the order of a {contrast} scan, found CSF {means.csf:.1f}, "
            f"GM {means.gm:.1f}, WM {means.wm:.1f}. Check that the file is what its name says."
        )
    slope = (levels[-1] - levels[-2]) / (knots[-1] - knots[-2])
    top = knots[-1] + (CEILING - levels[-1]) / slope
    return np.interp(image, [*knots, top], [*levels, CEILING]).astype(np.float32)


def _ventricle_intensity(values: Volume, gray: float) -> float:
    """Fluid where the template has neither tissue; a scan cut tightly may hold little of it."""
    if values.size < _LEAST_VOXELS:
        return gray / 3
    return min(float(np.percentile(values, 25)), 0.7 * gray)


def _middle_mean(values: Volume, fallback: float) -> float:
    if values.size < _LEAST_VOXELS:
        return fallback
    low, high = np.percentile(values, [25, 75])
    return float(values[(values >= low) & (values <= high)].mean())


def _check_order(means: NDArray[np.float64]) -> None:
    csf, gm, wm = means
    if not 0 < csf < gm < wm or (wm - gm) < 0.02 * wm:
        raise StageError(
            f"normalisation: expected a T1-weighted scan (CSF darker than grey, grey darker than white matter), found "
            f"means of {csf:.1f}, {gm:.1f} and {wm:.1f}. Check that the file is T1-weighted."
        )
