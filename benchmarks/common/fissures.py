"""Whether borders between lobules run in fissures: how dark the T1w is on them."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from cerebatch.labels import WHITE_MATTER
from cerebatch.spatial.space import LabelMap, Volume

MOVED_MM = (2.0, 4.0)
"""Borders are compared with themselves moved by these distances."""

_WHITE = WHITE_MATTER


def fissure_contrast(t1w: Volume, dseg: LabelMap, voxel_mm: float) -> float:
    """How much darker the T1w is on the borders between lobules than on the same borders moved by 2 to 4 mm.

    A border drawn in a fissure has fluid on it, which is dark in a T1w; one drawn elsewhere has the folia's mixture,
    as its neighbourhood has. Of each moved border only what falls on a lobule counts, so that neither white
    matter nor the fluid around the cerebellum enters.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
    dseg : (X, Y, Z) uint8
        Cerebatch codes on the same grid.
    voxel_mm : float
        Edge of a voxel.

    Returns
    -------
    contrast : float
        In standard deviations of the T1w inside the lobules: positive where the borders are darker; NaN without
        borders.
    """
    lobule = (dseg > 0) & ~np.isin(dseg, _WHITE)
    border = borders(dseg, lobule)
    places = np.argwhere(border)
    here, moved = t1w[border], []
    for shift in _shifts(voxel_mm):
        there = places + shift
        there = there[((there >= 0) & (there < dseg.shape)).all(axis=1)]
        there = there[lobule[tuple(there.T)]]
        moved.append(t1w[tuple(there.T)])
    if not here.size or not sum(map(len, moved)):
        return float("nan")
    return float((np.concatenate(moved).mean() - here.mean()) / t1w[lobule].std())


def borders(dseg: LabelMap, lobule: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels of lobules that share a face with a voxel of another lobule.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
    lobule : (X, Y, Z) bool
        Where the label is a lobule.
    """
    found = np.zeros(dseg.shape, dtype=bool)
    for axis in range(3):
        low = tuple(slice(None, -1) if k == axis else slice(None) for k in range(3))
        high = tuple(slice(1, None) if k == axis else slice(None) for k in range(3))
        meet = lobule[low] & lobule[high] & (dseg[low] != dseg[high])
        found[low] |= meet
        found[high] |= meet
    return found


def _shifts(voxel_mm: float) -> list[NDArray[np.int64]]:
    """Whole-voxel steps of `MOVED_MM` in 26 directions, one for each voxel on the way."""
    near, far = MOVED_MM
    found = set()
    for direction in product((-1, 0, 1), repeat=3):
        length = np.linalg.norm(direction)
        for away in np.arange(near, far + voxel_mm / 2, voxel_mm) if length else ():
            found.add(tuple(np.round(np.array(direction) / length * away / voxel_mm).astype(int).tolist()))
    return [np.array(shift) for shift in sorted(found)]
