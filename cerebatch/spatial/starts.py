"""Where a search for the head may begin: the template tried in every place, in some hundred poses and sizes.

For each pose the correlation with the template is computed for all translations at once, by Fourier transform, on
voxels of 10 mm. It supposes neither where the middle of a head is nor how large it is: a neck, a cut crown or a child
does not mislead it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.transform import Rotation

from cerebatch.spatial import template
from cerebatch.spatial.coarse import coarsened
from cerebatch.spatial.space import Affine, Grid, Volume, apply, resample

VOXEL_MM = 10.0
_SIDE = 40
"""Of the cube that holds a scan, in voxels at the template's scale."""
_AROUND_MM = 8.0
"""The rim of the template's brain counts: what is around a brain is darker than it."""
_NODS, _TILTS, _TURNS = (-45.0, -22.0, 0.0, 22.0, 45.0), (-28.0, 0.0, 28.0), (-28.0, 0.0, 28.0)
"""Degrees about x (left-right), y and z."""
_SCALES = (0.56, 0.66, 0.77, 0.88, 0.99)
"""Native millimetres of one of the template: from a newborn to a large adult."""
_FLAT = 0.2
"""Patches whose standard deviation is below this share of the scan's are no brain."""


@dataclass(frozen=True)
class Start:
    """A place to begin at.

    Attributes
    ----------
    native_from_mni : (4, 4) float
    correlation : float
        With the template.
    """

    native_from_mni: Affine
    correlation: float


def starts(image: Volume, grid: Grid, count: int, apart_mm: float = 25.0) -> list[Start]:
    """The best places, from the best on.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Smoothed for voxels of 10 mm; background is 0.
    grid : Grid
        Native.
    count : int
        Largest number of places.
    apart_mm : float
        Mean distance between two of them in the brain, native.
    """
    middle = grid.corners_mm().mean(axis=0)
    tried = []
    for degrees in product(_NODS, _TILTS, _TURNS):
        turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        for scale in _SCALES:
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = scale * turn, middle
            tried.append(_best_place(image, grid, pose))
    tried.sort(key=lambda start: -start.correlation)
    chosen: list[Start] = []
    points = _brain_points()
    for start in tried:
        places = apply(start.native_from_mni, points)
        if all(np.linalg.norm(places - apply(one.native_from_mni, points), axis=1).mean() > apart_mm for one in chosen):
            chosen.append(start)
        if len(chosen) == count:
            break
    return chosen


def _best_place(image: Volume, grid: Grid, native_from_frame: Affine) -> Start:
    kernel = _kernel()
    frame = _cube()
    moved = resample(image, grid, frame, native_from_frame, order=1)
    spectrum, squares = (fft.rfftn(one, kernel.shape, workers=1) for one in (moved, moved * moved))

    def summed(spectrum_of_scan: NDArray[np.complex64], of_kernel: NDArray[np.complex64]) -> Volume:
        found: Volume = fft.irfftn(spectrum_of_scan * of_kernel, kernel.shape, workers=1)
        return found

    mean = summed(spectrum, kernel.mask) / kernel.count
    spread = np.sqrt(np.maximum(summed(squares, kernel.mask) / kernel.count - mean * mean, 0.0))
    least = _FLAT * float(image.std())
    correlation = summed(spectrum, kernel.template) / kernel.count / np.maximum(spread, least)
    shift = np.array(np.unravel_index(int(correlation.argmax()), kernel.shape), dtype=float)
    shift = np.where(shift >= _SIDE, shift - np.array(kernel.shape), shift)
    place = np.eye(4)
    place[:3, 3] = VOXEL_MM * shift + frame.affine[:3, 3] - kernel.grid.affine[:3, 3]
    return Start(native_from_frame @ place, float(correlation.max()))


@dataclass(frozen=True)
class _Kernel:
    """Spectra of the template (mean 0, standard deviation 1 inside the mask) and of its mask, conjugated."""

    template: NDArray[np.complex64]
    mask: NDArray[np.complex64]
    count: int
    grid: Grid
    shape: tuple[int, int, int]


@cache
def _kernel() -> _Kernel:
    fine, fine_grid = template.t1w(4)
    mask = template.brain_mask_within(4, _AROUND_MM)
    places = apply(fine_grid.affine, np.argwhere(mask).astype(float))
    low, high = places.min(axis=0), places.max(axis=0)
    x, y, z = (int(n) for n in np.ceil((high - low) / VOXEL_MM) + 1)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = low
    grid = Grid((x, y, z), affine)
    smooth, smooth_grid = coarsened(fine, fine_grid, VOXEL_MM)
    values = resample(smooth, smooth_grid, grid, np.eye(4), order=1)
    inside = resample(mask.astype(np.float32), fine_grid, grid, np.eye(4), order=1) > 0.5
    own = values[inside]
    centred = np.where(inside, (values - own.mean()) / own.std(), 0.0).astype(np.float32)
    shape = (fft.next_fast_len(_SIDE + x, True), fft.next_fast_len(_SIDE + y, True), fft.next_fast_len(_SIDE + z, True))
    spectra = [np.conj(fft.rfftn(one.astype(np.float32), shape)) for one in (centred, inside)]
    return _Kernel(spectra[0], spectra[1], int(inside.sum()), grid, shape)


@cache
def _cube() -> Grid:
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -VOXEL_MM * (_SIDE - 1) / 2
    return Grid((_SIDE, _SIDE, _SIDE), affine)


@cache
def _brain_points() -> NDArray[np.float64]:
    _, grid = template.t1w(4)
    return apply(grid.affine, np.argwhere(template.brain_mask(4))[::50].astype(float))
