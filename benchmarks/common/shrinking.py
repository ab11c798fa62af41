"""One region of a prepared scan made smaller, with what is true of every other region: does a method follow?

The surface of the region moves inwards along the gradient of the blurred region; the field fades within some
millimetres on both sides, and the neighbours stretch into the room. No training of cerebatch draws such a field.

The truth is counted in shares: each region's one-hot map is carried by linear interpolation, so that a change of a
fraction of a voxel is a change. Nearest neighbour would count in whole voxels, and a few per cent of a small lobule
would be noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.spatial.space import LabelMap, Volume

LEAST_CHANGE = 0.02
"""A true change below this share of the region is no test: slopes of such rows are noise."""

_BLUR_MM = 2.5
_REACH = 4.0
"""Beyond this many blurs the field is nothing."""

_LEAST_JACOBIAN = 0.2
_HALVINGS = 24


@dataclass(frozen=True)
class Shrunk:
    """A scan with a smaller region.

    Attributes
    ----------
    t1w : (X, Y, Z) float32
    before, after : (N,) float
        Voxels of each region's code, in shares.
    share : float
        True volume of the region over what it was.
    least_jacobian : float
        Of the field: how much the most squeezed voxel was squeezed.
    """

    t1w: Volume
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    share: float
    least_jacobian: float


@dataclass(frozen=True)
class Row:
    """One region made smaller and measured again, as shares of what it was.

    Attributes
    ----------
    true, measured : float
        Change, negative where the region lost.
    leakage : float
        What the regions that touch it changed otherwise than they should, over what it should have lost.
    """

    true: float
    measured: float
    leakage: float


def shrink(t1w: Volume, regions: LabelMap, code: int, share: float, voxel_mm: float) -> Shrunk | None:
    """Make one region smaller.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        Prepared.
    regions : (X, Y, Z) uint8
        On the same grid: whose labels the region and the truth are, a rater's, another tool's, a simulation's.
    code : int
        Of the region.
    share : float
        Volume that it should keep, 0 to 1.
    voxel_mm : float
        Edge of a voxel.

    Returns
    -------
    shrunk : Shrunk or None
        None where the region is not there, or is too thin to be made this small without folds.
    """
    inside = regions == code
    before = np.bincount(regions.ravel(), minlength=256).astype(np.float64)
    if not inside.any():
        return None
    block = _block(inside, int(np.ceil(_REACH * _BLUR_MM / voxel_mm)) + 2)
    own = inside[block].astype(np.float32)
    blurred = ndimage.gaussian_filter(own, _BLUR_MM / voxel_mm, truncate=_REACH, mode="constant")
    # Down the blurred region is outwards: a voxel shows what lay further out, and the surface moves in.
    outwards = -np.stack(np.gradient(blurred)).astype(np.float64)
    index = np.indices(own.shape, dtype=np.float64)

    def kept(scale: float) -> float:
        moved = ndimage.map_coordinates(own, index + scale * outwards, order=1, mode="nearest")
        return float(moved.sum() / own.sum())

    low, high = 0.0, 1.0
    while kept(high) > share:
        high *= 2
        if _least_jacobian(high * outwards) < 0:
            break
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) > share else (low, middle)
    field = high * outwards
    jacobian = _least_jacobian(field)
    if jacobian < _LEAST_JACOBIAN or abs(kept(high) - share) > 1e-3:
        return None
    places = index + field
    image = t1w.copy()
    image[block] = ndimage.map_coordinates(t1w[block], places, order=3, mode="nearest")
    after = before.copy()
    local = regions[block]
    for other in np.unique(local):
        mask = (local == other).astype(np.float32)
        after[other] += ndimage.map_coordinates(mask, places, order=1, mode="nearest").sum() - mask.sum()
    return Shrunk(image, before, after, float(after[code] / before[code]), jacobian)


def compare(
    shrunk: Shrunk, regions: LabelMap, code: int, before: NDArray[np.float64], after: NDArray[np.float64]
) -> Row | None:
    """What a method measured against the truth.

    Parameters
    ----------
    shrunk : Shrunk
    regions : (X, Y, Z) uint8
        As given to `shrink`.
    code : int
        Of the region that was made smaller.
    before, after : (N,) float
        The method's own voxels of each code, on the scan as it was and on the smaller one.

    Returns
    -------
    row : Row or None
        None where the true change is below `LEAST_CHANGE`, or where the method did not find the region.
    """
    true = shrunk.share - 1
    if abs(true) < LEAST_CHANGE or before[code] == 0:
        return None
    lost = -true * before[code]
    # A neighbour should change by the share by which its true volume does.
    expected = [before[other] * (shrunk.after[other] / shrunk.before[other] - 1) for other in neighbours(regions, code)]
    found = [after[other] - before[other] for other in neighbours(regions, code)]
    leakage = float(np.abs(np.array(found) - np.array(expected)).sum() / lost)
    return Row(true, float(after[code] / before[code] - 1), leakage)


def slope(rows: list[Row]) -> float:
    """Measured over true change by least squares through 0; 1 where a method follows, 0 where it knows beforehand."""
    true, measured = (np.array([getattr(row, name) for row in rows]) for name in ("true", "measured"))
    return float((true * measured).sum() / (true**2).sum())


def neighbours(regions: LabelMap, code: int) -> list[int]:
    """Codes of the other regions that touch one, background left out."""
    around = ndimage.binary_dilation(regions == code)
    return sorted(set(np.unique(regions[around]).tolist()) - {0, code})


def _block(mask: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    held = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(held, mask.shape, strict=True)
    )


def _least_jacobian(field: NDArray[np.float64]) -> float:
    """Least determinant of the derivative of ``index + field[:, index]``."""
    derivative = np.stack([np.stack(np.gradient(field[axis])) for axis in range(3)])
    derivative += np.eye(3)[:, :, None, None, None]
    return float(np.linalg.det(np.moveaxis(derivative, (0, 1), (-2, -1))).min())
