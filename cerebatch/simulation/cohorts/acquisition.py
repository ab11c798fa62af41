"""What a scanner does to an ideal image: field of view, contrast, smoothing, bias, noise, stored numbers."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.simulation.anatomy import control_grid
from cerebatch.simulation.cohorts.scanners import Scanner
from cerebatch.simulation.phantom.people import Waves
from cerebatch.spatial.space import Grid, Volume

_BIAS_STEP_MM = 10.0
_GREATEST_LOG_GAIN = 0.3
_SIGMA_OF_WIDTH = 1 / np.sqrt(8 * np.log(2))


def field_of_view(points_mm: NDArray[np.float64], margin_mm: float, scanner: Scanner) -> Grid:
    """A grid around points, its axes along the scanner's in its order.

    Parameters
    ----------
    points_mm : (N, 3) float
        Native millimetres.
    margin_mm : float
        Air around them.
    scanner : Scanner
    """
    low, high = points_mm.min(axis=0) - margin_mm, points_mm.max(axis=0) + margin_mm
    size = np.array(scanner.voxel_mm)
    count = np.ceil((high - low) / size).astype(int)
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = low + size / 2
    turn = nib.orientations.axcodes2ornt(scanner.orientation)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, count)
    x, y, z = (int(count[np.flatnonzero(turn[:, 0] == axis)[0]]) for axis in range(3))
    return Grid((x, y, z), np.asarray(affine, dtype=np.float64))


def drawn_gain(rng: np.random.Generator, scanner: Scanner, grid: Grid) -> Volume:
    """The receiver's field on a grid, about 1."""
    waves = Waves.drawn(rng, count=4, length_mm=(200, 400), sd=[scanner.bias])
    x, y, z = (max(1, round(_BIAS_STEP_MM / float(size))) for size in grid.voxel_sizes_mm)
    log = control_grid.over(grid.shape, grid.affine, waves.at, (x, y, z))[0]
    return np.asarray(np.exp(np.clip(log, -_GREATEST_LOG_GAIN, _GREATEST_LOG_GAIN)), dtype=np.float32)


def acquired(
    ideal: Volume,
    outside: NDArray[np.bool_] | None,
    gain: Volume,
    scanner: Scanner,
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.int16]:
    """Scan an ideal image.

    Parameters
    ----------
    ideal : (X, Y, Z) float32
        Brightness, the brightest tissue 1.
    outside : (X, Y, Z) bool or None
        What brain extraction takes away.
    gain : (X, Y, Z) float32
    scanner : Scanner
    rng : Generator
        Of the noise.
    grid : Grid

    Returns
    -------
    scan : (X, Y, Z) int16
        Magnitudes with Rician noise.
    """
    image: Volume = np.maximum(ideal, 0) ** np.float32(scanner.contrast)
    sigma = _SIGMA_OF_WIDTH * scanner.smoothing_mm / grid.voxel_sizes_mm
    image = ndimage.gaussian_filter(image, sigma, truncate=3.0) * gain
    real, imaginary = rng.standard_normal((2, *grid.shape), np.float32) / np.float32(scanner.snr)
    scan = np.hypot(image + real, imaginary)
    if outside is not None:
        scan[outside] = 0
    return np.asarray(np.rint(scan * np.float32(scanner.brightness)), dtype=np.int16)
