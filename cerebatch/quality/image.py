"""Quality of images: whether labels sit where the image has borders; noise, contrast, bias and stray signal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.intensity.tissue import TARGETS
from cerebatch.labels import WHITE_MATTER
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.metric import Metric
from cerebatch.spatial import template
from cerebatch.spatial.registration import foreground_threshold
from cerebatch.spatial.space import Grid, Volume, resample

_WHITE = WHITE_MATTER
_FARTHEST_MM = 8.0
_AROUND_MM = 6.0
_SPARE = 4
"""Of the voxels at 1 mm and finer, one in so many is enough to find an offset."""
_SPARSE_MM = 3.0
"""Distance of the voxels of the scan that its tissues are looked at in."""
_AWAY_MM = 15.0
_FEWEST = 50
"""Voxels below which a mean says nothing."""


def image_metrics(case: QualityInputs) -> Iterator[Metric]:
    """Metrics of the prepared scan under its labels, and of the scan as it came.

    Parameters
    ----------
    case : QualityInputs
        With at least one label.
    """
    yield from _fit(case)
    white, lobules = np.isin(case.dseg, _WHITE), (case.dseg > 0) & ~np.isin(case.dseg, _WHITE)
    target = TARGETS["T1w"]
    yield Metric("contrast", _mean(case.t1w, white) - _mean(case.t1w, lobules))
    yield Metric("noise", 100.0 * _noise_at(case.t1w, np.argwhere(_core(white))) / (target.wm - target.gm))
    yield from _as_it_came(case)
    yield Metric("largest_voxel", float(case.stored_grid.voxel_sizes_mm.max()))


def _fit(case: QualityInputs) -> Iterator[Metric]:
    """Where along each axis the classes around, lobules and white matter explain most of the image's variance."""
    step = max(1, round(1.0 / case.resolution))
    reach = max(1, round(_FARTHEST_MM / case.resolution / step)) * step
    classes = np.pad(np.where(case.dseg == 0, 0, np.where(np.isin(case.dseg, _WHITE), 2, 1)).astype(np.uint8), reach)
    around = ndimage.binary_dilation(case.dseg > 0, iterations=max(1, round(_AROUND_MM / case.resolution)))
    places = np.argwhere(around & (case.t1w > 0))[:: _SPARE if case.resolution <= 1 else 1]
    values = case.t1w[tuple(places.T)]
    flat = np.ravel_multi_index(tuple((places + reach).T), classes.shape)
    pitch = np.array([classes.shape[1] * classes.shape[2], classes.shape[2], 1])
    shifts = range(-reach, reach + 1, step)
    offset = []
    for axis in range(3):
        scores = [_explained(values, classes.ravel()[flat - k * pitch[axis]]) for k in shifts]
        offset.append(shifts[int(np.argmax(scores))] * case.resolution)
    yield Metric("label_offset", float(np.linalg.norm(offset)))
    yield Metric("labels_explain", _explained(values, classes.ravel()[flat]))


def _explained(values: Volume, classes: NDArray[np.integer]) -> float:
    """Correlation ratio: variance between the classes' means over all variance."""
    if values.size < _FEWEST:
        return float("nan")
    counts = np.bincount(classes, minlength=3)
    sums = np.bincount(classes, weights=values, minlength=3)
    between = float(np.sum(sums**2 / np.maximum(counts, 1)) - values.sum(dtype=np.float64) ** 2 / values.size)
    return between / max(float(values.var(dtype=np.float64)) * values.size, 1e-12)


def _as_it_came(case: QualityInputs) -> Iterator[Metric]:
    stride = [max(1, round(_SPARSE_MM / size)) for size in case.scan_grid.voxel_sizes_mm]
    step = np.diag([*stride, 1.0])
    small = case.scan[:: stride[0], :: stride[1], :: stride[2]]
    x, y, z = small.shape
    grid = Grid((x, y, z), case.scan_grid.affine @ step)
    gm_map, wm_map, map_grid = template.tissue_probabilities()
    white = resample(wm_map, map_grid, grid, case.mni_from_native, order=1) > 0.9
    gray = resample(gm_map, map_grid, grid, case.mni_from_native, order=1) > 0.7
    bright, dim = (float(np.median(small[mask])) if mask.sum() >= _FEWEST else float("nan") for mask in (white, gray))
    yield Metric("scan_contrast", _percent(2.0 * (bright - dim), bright + dim))
    yield Metric("scan_noise", _percent(_noise_at(case.scan, np.argwhere(white) * stride), bright))
    width = 10.0 / grid.voxel_sizes_mm
    share = ndimage.gaussian_filter(white.astype(np.float32), width)
    smooth = ndimage.gaussian_filter(np.where(white, small, 0.0).astype(np.float32), width)[white] / share[white]
    low, middle, high = np.percentile(smooth, [5, 50, 95]) if smooth.size >= _FEWEST else (np.nan,) * 3
    yield Metric("scan_bias", _percent(float(high - low), float(middle)))
    yield Metric("scan_air", _percent(_air(small, grid), bright))


def _percent(part: float, whole: float) -> float:
    """NaN where the whole is nothing: an affine that is wrong may look for tissue where there is none."""
    return 100.0 * part / whole if whole > 0 else float("nan")


def _air(image: Volume, grid: Grid) -> float:
    """Mean of what lies 15 mm or more away from the head; NaN where a scan has no air, or air was set to 0."""
    head = ndimage.binary_opening(image > foreground_threshold(image))
    air = image[ndimage.distance_transform_edt(~head, sampling=grid.voxel_sizes_mm) > _AWAY_MM]
    return float(air.mean()) if air.size >= _FEWEST and np.mean(air > 0) > 0.05 else float("nan")


def _noise_at(image: Volume, places: NDArray[np.integer]) -> float:
    """Standard deviation of what voxels differ from the mean of their six neighbours, by the median.

    Parameters
    ----------
    image : (X, Y, Z) float32
    places : (n, 3) integer
        Those on the faces of the image are left out.
    """
    places = places[((places > 0) & (places < np.array(image.shape) - 1)).all(axis=1)]
    if len(places) < _FEWEST:
        return float("nan")
    steps = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    neighbours = np.mean([image[tuple((places + step).T)] for step in steps], axis=0)
    rest = image[tuple(places.T)] - neighbours
    return float(1.4826 * np.median(np.abs(rest - np.median(rest))) * np.sqrt(6.0 / 7.0))


def _core(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its surface, unless too little is left."""
    inner = np.asarray(ndimage.binary_erosion(mask))
    return inner if inner.sum() >= _FEWEST else mask


def _mean(image: Volume, mask: NDArray[np.bool_]) -> float:
    return float(image[mask].mean()) if mask.sum() >= _FEWEST else float("nan")
