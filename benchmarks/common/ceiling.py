"""The ceiling of agreement with another tool's map: how well labels can agree that err in nothing."""

from __future__ import annotations

import numpy as np

from cerebatch.evaluation.outlines import DARK_BELOW
from cerebatch.evaluation.protocols import Protocol
from cerebatch.intensity.tissue import TARGETS
from cerebatch.labels import white_matter_of
from cerebatch.spatial.space import LabelMap, Volume


def as_shown(other: LabelMap, t1w: Volume, protocol: Protocol) -> LabelMap:
    """The other map in cerebatch codes, with the tissue borders that the scan shows: the ceiling of agreement.

    What is dark becomes background, what is brighter than half-way between grey and white becomes white matter of
    its side, as our convention has it; every name is the other's. Scored against the other map it tells how well a
    map of our convention can agree that errs in nothing. Groups get the first of their lobules; they are in no region.

    Parameters
    ----------
    other : (X, Y, Z) uint8
        Numbers of `Protocol.merge_other`.
    t1w : (X, Y, Z) float32
        Prepared, on the same grid.
    protocol : Protocol
        With regions of both sides.
    """
    table = np.zeros(256, dtype=np.uint8)
    for region in protocol.regions:
        table[region.number] = region.ours[0]
    grey, white = TARGETS["T1w"].gm, TARGETS["T1w"].wm
    shown = table[other]
    shown = np.where((other > 0) & (t1w > (grey + white) / 2), white_matter_of(shown), shown)
    return np.where(t1w < DARK_BELOW, np.uint8(0), shown)
