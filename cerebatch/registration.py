"""From a scan to the template: one affine that whole heads and brain-extracted scans share.

The template is brain-extracted, a scan may not be. A metric that looks at the surroundings of the template's
brain sees skull in the one and nothing in the other, and stretches the brain to make up for it. So the passes
draw inwards: 4 mm rigid sees the surroundings, 4 mm affine the template's brain mask, 2 mm affine what lies
inside it. And fluid, bone and the zeros that an extraction leaves are made equally dark.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cerebatch import ants_bridge, template
from cerebatch.ants_bridge import Schedule
from cerebatch.errors import RegistrationError
from cerebatch.space import Affine, Grid, Volume, apply, inverse, resample

COARSE_MM = 4
FINE_MM = 2

_AROUND_MM, _INSIDE_MM = 8.0, -2.0
"""Distance from the surface of the template's brain mask within which the first and the last pass look."""

_BRAIN_CENTRE_MM = np.array([0.0, -18.0, 8.0])
_HEAD_HEIGHT_MM = 150.0
SCALE_LIMITS = (0.6, 1.7)
"""Of an affine to the template; the cerebella of people vary less."""
_NEIGHBOURHOOD_MM = 12.0
_LEAST_CORRELATION = 0.45
"""Local correlations of real scans lie at 0.54 and more, of scans upside down or on their side below 0.37."""


@dataclass(frozen=True)
class Registration:
    """Affine registration of one scan.

    Attributes
    ----------
    mni_from_native : (4, 4) float
        Native millimetres -> MNI millimetres.
    local_correlation : float
        Mean over the brain of the correlation of scan and template in the neighbourhood of each voxel. Unlike
        mutual information it is blind to bias.
    """

    mni_from_native: Affine
    local_correlation: float


def register_to_template(image: Volume, grid: Grid, *, seed: int, finest_mm: int = FINE_MM) -> Registration:
    """Affine registration to MNI152NLin2009aSym (section 3.8, second step).

    Parameters
    ----------
    image : (X, Y, Z) float32
        T1-weighted scan, with or without skull.
    grid : Grid
        Native.
    seed : int
    finest_mm : int
        Voxels of the last pass; trials of scale stop at the coarse one.

    Raises
    ------
    RegistrationError
        The result has scales that no head has, or does not look like the template.
    """
    darkest = foreground_threshold(image)
    clipped = np.clip(image, darkest, np.percentile(image[image > darkest], 99.5)) - darkest
    native_from_mni = _centred_start(clipped, grid)
    rigid = Schedule("Rigid", iterations=(100, 50), shrink=(2, 1), smoothing=(1, 0))
    affine = Schedule("Affine", iterations=(100, 100), shrink=(2, 1), smoothing=(1, 0))
    # Unsmoothed, the end depends on the start: by 0.09 mm in a trial, against 0.02 mm with this sigma.
    finest = Schedule("Affine", iterations=(200,), shrink=(1,), smoothing=(0.7,))
    passes = [(COARSE_MM, _AROUND_MM, rigid), (COARSE_MM, 0.0, affine), (FINE_MM, _INSIDE_MM, finest)]
    for resolution, distance_mm, schedule in passes:
        if resolution < finest_mm:
            continue
        fixed, fixed_grid = template.t1w(resolution)
        mask = template.brain_mask_within(resolution, distance_mm)
        moving, moving_grid = coarsened(clipped, grid, resolution)
        native_from_mni = ants_bridge.register(
            fixed, fixed_grid, mask, moving, moving_grid, native_from_mni, schedule, seed
        )
    correlation = _local_correlation(clipped, grid, native_from_mni)
    mni_from_native = inverse(native_from_mni)
    _check(mni_from_native, correlation)
    return Registration(mni_from_native, correlation)


def foreground_threshold(image: Volume) -> float:
    """Intensity halfway between the mean of the background and the mean of the head (Ridler and Calvard 1978)."""
    threshold = float(image.mean())
    for _ in range(50):
        above = image > threshold
        updated = float(image[above].mean() + image[~above].mean()) / 2
        if abs(updated - threshold) < 1e-4 * abs(threshold):
            break
        threshold = updated
    return threshold


def coarsened(image: Volume, grid: Grid, voxel_mm: float) -> tuple[Volume, Grid]:
    """The image smoothed and sampled on larger voxels; axes that are as coarse already stay.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
    voxel_mm : float
        Edge of the new voxels.
    """
    factor = np.maximum(voxel_mm / grid.voxel_sizes_mm, 1.0)
    width = np.where(factor > 1.0, factor / 2.355, 0.0)  # full width at half maximum of one new voxel
    smooth = ndimage.gaussian_filter(image, width)
    x, y, z = (int(np.ceil(n / f)) for n, f in zip(grid.shape, factor, strict=True))
    step = np.diag([*factor, 1.0])
    step[:3, 3] = (factor - 1.0) / 2.0
    coarse = Grid((x, y, z), grid.affine @ step)
    return resample(smooth, grid, coarse, np.eye(4), order=1), coarse


def _centred_start(image: Volume, grid: Grid) -> Affine:
    """Translation that puts the template's brain where the scan is bright, neck and shoulders left out."""
    small, small_grid = coarsened(image, grid, 2.0 * COARSE_MM)
    bright = apply(small_grid.affine, np.argwhere(small > 0.1 * small.max()).astype(float))
    top = np.percentile(bright[:, 2], 99.8)
    start = np.eye(4)
    start[:3, 3] = bright[bright[:, 2] > top - _HEAD_HEIGHT_MM].mean(axis=0) - _BRAIN_CENTRE_MM
    return start


def _local_correlation(image: Volume, grid: Grid, native_from_mni: Affine) -> float:
    fixed, fixed_grid = template.t1w(COARSE_MM)
    mask = template.brain_mask(COARSE_MM)
    moving, moving_grid = coarsened(image, grid, COARSE_MM)
    moved = resample(moving, moving_grid, fixed_grid, native_from_mni, order=1)
    share = _smoothed(mask.astype(np.float32))

    def mean(values: Volume) -> Volume:
        return _smoothed(np.where(mask, values, np.float32(0.0)))[mask] / share[mask]

    covariance = mean(fixed * moved) - mean(fixed) * mean(moved)
    spread = [np.maximum(mean(v * v) - mean(v) ** 2, 1e-6 * v[mask].var() + 1e-12) for v in (fixed, moved)]
    return float(np.mean(covariance / np.sqrt(spread[0] * spread[1])))


def _smoothed(image: Volume) -> Volume:
    smooth: Volume = ndimage.gaussian_filter(image, _NEIGHBOURHOOD_MM / COARSE_MM)
    return smooth


def _check(mni_from_native: Affine, correlation: float) -> None:
    low, high = SCALE_LIMITS
    scales = np.linalg.svd(mni_from_native[:3, :3], compute_uv=False)
    if scales.min() < low or scales.max() > high:
        raise RegistrationError(
            f"registration to the template: expected scales from {low} to {high}, found {scales.min():.2f} to "
            f"{scales.max():.2f}. Look at the scan: it must show a whole brain, upright by its header, T1-weighted."
        )
    if correlation < _LEAST_CORRELATION:
        raise RegistrationError(
            f"registration to the template: expected a local correlation of at least {_LEAST_CORRELATION} with the "
            f"template's brain, found {correlation:.2f}. Look at the scan: it must show a whole brain, upright by "
            "its header, T1-weighted."
        )
