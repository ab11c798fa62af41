"""White matter inside the lobules of a map that labels only its core.

The maps give each folium wholly to its lobule. Real folia carry a sheet of white matter in their middle, joined
to the core like twigs to a tree: the arbor vitae. Here it is grown along the middle of each lobule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from cerebatch.labels import WHITE_MATTER, white_matter_of
from cerebatch.spatial.space import Grid, LabelMap

WHITE_SHARE = 0.25
"""Part of each lobule that becomes white matter: DeepCERES counts 80.0 cm3 where CERES counts 107.5."""

_STRANGER = 30.0
"""How much longer a step into another lobule counts than one inside a lobule."""


def grow(dseg: LabelMap, grid: Grid, share: float = WHITE_SHARE) -> NDArray[np.bool_]:
    """Grow an arbor vitae inside each lobule, connected to the core of its side.

    Each voxel has a depth, its distance to the nearest voxel outside its lobule (the core counts as inside),
    and a cheapest way to the core, a step costing the inverse square of the depth. The white matter of a lobule
    is every voxel beyond a certain depth, and the way from each of them to the core: the voxels through which the
    deepest ones reach the core, in this order, until the share is reached.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes; the core is `labels.WHITE_MATTER`, fissures are background.
    grid : Grid
    share : float
        Part of each lobule's voxels that becomes white.

    Returns
    -------
    white : (X, Y, Z) bool
        The core and the arbor vitae. Pieces of a lobule that do not touch its side's other labels stay grey.
    """
    white = np.zeros(dseg.shape, dtype=bool)
    for core in WHITE_MATTER:
        one_side = np.where(white_matter_of(dseg) == core, dseg, 0).astype(np.uint8)
        block = _bounds(one_side > 0)
        white[block] |= _grow_side(one_side[block], core, grid, share)
    return white


def white_apart(lobules: LabelMap, white: NDArray[np.bool_]) -> LabelMap:
    """The map with all white matter under the code of its side's core.

    Parameters
    ----------
    lobules : (X, Y, Z) uint8
        Cerebatch codes, an arbor vitae with the code of its lobule.
    white : (X, Y, Z) bool
        Core and arbor vitae.
    """
    return np.where(white, white_matter_of(lobules), lobules)


def _grow_side(dseg: LabelMap, core: int, grid: Grid, share: float) -> NDArray[np.bool_]:
    inside = np.flatnonzero(dseg)
    code = dseg.ravel()[inside]
    depth_mm = depth_within_mm(dseg, core, grid).ravel()[inside]
    far, way = _ways_to_core(dseg, inside, depth_mm, core)

    # From the twigs down: each voxel learns the greatest depth that reaches the core through it.
    towards = way.tolist()
    inwards = np.argsort(-far, kind="stable").tolist()
    served = np.where(np.isfinite(far), depth_mm, -1.0).tolist()
    for node in inwards:
        below = towards[node]
        if below >= 0 and served[node] > served[below]:
            served[below] = served[node]
    served_mm = np.array(served)

    chosen = code == core
    for lobule in np.unique(code[~chosen]):
        own = np.flatnonzero((code == lobule) & np.isfinite(far))
        # Where depths are equal, from the core outwards.
        ranked = own[np.lexsort((far[own], -served_mm[own]))]
        chosen[ranked[: round(share * np.count_nonzero(code == lobule))]] = True
    # A way may lead through another lobule, which chose without knowing.
    whites = chosen.tolist()
    for node in inwards:
        if whites[node] and towards[node] >= 0:
            whites[towards[node]] = True
    white = np.zeros(dseg.shape, dtype=bool)
    white.ravel()[inside[np.array(whites)]] = True
    return white


def depth_within_mm(dseg: LabelMap, core: int, grid: Grid) -> NDArray[np.float32]:
    """Distance of each voxel of a lobule to the nearest one that is neither in it nor in the core.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        The labels of one side.
    core : int
        Code of its white matter.
    grid : Grid

    Returns
    -------
    depth_mm : (X, Y, Z) float32
        0 outside the lobules.
    """
    depth_mm = np.zeros(dseg.shape, dtype=np.float32)
    for code in np.unique(dseg[(dseg > 0) & (dseg != core)]):
        block = _bounds(dseg == code)
        own = dseg[block] == code
        body = np.pad(own | (dseg[block] == core), 1)
        distance_mm = ndimage.distance_transform_edt(body, sampling=grid.voxel_sizes_mm)[1:-1, 1:-1, 1:-1]
        depth_mm[block][own] = distance_mm[own]
    return depth_mm


def _ways_to_core(
    dseg: LabelMap, inside: NDArray[np.intp], depth_mm: NDArray[np.float32], core: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Cost of each voxel's way to the core (infinite without one) and the next voxel on it (negative at its end)."""
    number = np.full(dseg.size, -1, dtype=np.int32)
    number[inside] = np.arange(inside.size, dtype=np.int32)
    code = dseg.ravel()[inside]
    ends: list[NDArray[np.int32]] = []
    starts: list[NDArray[np.int32]] = []
    costs: list[NDArray[np.float64]] = []
    for axis in range(3):
        lines = np.moveaxis(number.reshape(dseg.shape), axis, 0)
        one, other = lines[:-1].ravel(), lines[1:].ravel()
        joined = (one >= 0) & (other >= 0)
        one, other = one[joined], other[joined]
        strange = (code[one] != code[other]) & (code[one] != core) & (code[other] != core)
        cost = np.maximum(np.minimum(depth_mm[one], depth_mm[other]), 0.1).astype(np.float64) ** -2
        starts.append(one)
        ends.append(other)
        costs.append(np.where(strange, _STRANGER * cost, cost))
    graph = sparse.coo_array(
        (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))), shape=(inside.size, inside.size)
    ).tocsr()
    far, way, _ = csgraph.dijkstra(
        graph, directed=False, indices=np.flatnonzero(code == core), min_only=True, return_predecessors=True
    )
    return far, way


def _bounds(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Smallest block that holds a mask."""
    found: tuple[slice, ...] = ndimage.find_objects(mask.astype(np.uint8))[0]
    return found
