"""The simplest baseline: the most frequent label of a library's cases, as they lie in the box."""

from __future__ import annotations

import numpy as np

from cerebatch.atlas.similar import LeaveOut
from cerebatch.labels import N_CLASSES
from cerebatch.library.store import Library
from cerebatch.spatial.space import LabelMap


def majority(library: Library, leave_out: LeaveOut) -> LabelMap:
    """Most frequent label of the allowed cases without any registration, (X, Y, Z); ties go to the smaller code."""
    votes = np.zeros((N_CLASSES, *library.grid.shape), dtype=np.uint16)
    for index in leave_out.candidates(library):
        dseg = library.dseg(index)[None]
        np.put_along_axis(votes, dseg, np.take_along_axis(votes, dseg, 0) + 1, 0)
    return np.asarray(votes.argmax(axis=0), dtype=np.uint8)
