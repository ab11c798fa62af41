"""How much of the borders between lobules an image can show.

A network can only read a border between two lobules where the tissue changes there: where a fissure lies
between them, or grey matter meets white matter. The rest is a line that the rater drew through grey matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cerebatch.labels import WHITE_MATTER, structure_of
from cerebatch.spatial.space import Grid, LabelMap

WIDEST_FISSURE_MM = 3.0
"""Two lobules further apart than this face no common border."""


def visible_share(parents: LabelMap, white: NDArray[np.bool_], grid: Grid) -> float:
    """Share of the faces between two lobules with a visible change of tissue.

    A face is a pair of voxels of two different lobules (the midline is no border) that follow each other along
    an axis of the grid, directly or with at most `WIDEST_FISSURE_MM` of unlabelled voxels between them. It is
    visible where there is such a fissure, or where one of the two is white matter and the other is not.

    Parameters
    ----------
    parents : (X, Y, Z) uint8
        Cerebatch codes; white matter inside a lobule has the code of its lobule.
    white : (X, Y, Z) bool
        White matter.
    grid : Grid

    Returns
    -------
    share : float
        NaN where no two lobules face each other.
    """
    structure = structure_of(parents)
    (core,) = np.unique(structure_of(np.array(WHITE_MATTER)))
    faces = visible = 0
    for axis in range(3):
        lines = np.moveaxis(structure, axis, -1)
        labelled = np.flatnonzero(lines)
        length = lines.shape[-1]
        one, other = labelled[:-1], labelled[1:]
        gap = other - one - 1
        widest = round(WIDEST_FISSURE_MM / float(grid.voxel_sizes_mm[axis]))
        a, b = lines.ravel()[one], lines.ravel()[other]
        face = (one // length == other // length) & (gap <= widest) & (a != b) & (a != core) & (b != core)
        tissue = np.moveaxis(white, axis, -1).ravel()
        changes = (gap[face] > 0) | (tissue[one[face]] != tissue[other[face]])
        faces += len(changes)
        visible += int(np.count_nonzero(changes))
    return visible / faces if faces else float("nan")
