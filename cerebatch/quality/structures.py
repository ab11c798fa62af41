"""Quality of structures: missing, in pieces, out of proportion, and how sure those were who labelled them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from cerebatch.labels import LABELS, SIDES, STRUCTURES, codes_of
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.metric import WHOLE, Metric

_TOUCHING = np.ones((3, 3, 3), dtype=bool)


def structure_metrics(case: QualityInputs) -> Iterator[Metric]:
    """Metrics of each of the 26 structures, and of left against right.

    Parameters
    ----------
    case : QualityInputs
        With at least one label.
    """
    counts = np.bincount(case.dseg.ravel(), minlength=len(LABELS) + 1)
    total = int(counts[1:].sum())
    boxes = ndimage.find_objects(case.dseg, max_label=len(LABELS))
    for label in LABELS:
        at = {"structure": label.structure, "side": label.side}
        voxels = int(counts[label.index])
        yield Metric("volume", voxels * case.voxel_cm3, **at)
        yield Metric("share_of_cerebellum", 100.0 * voxels / total, **at)
        block = boxes[label.index - 1]
        if block is None:
            continue
        mask = case.dseg[block] == label.index
        pieces, _ = ndimage.label(mask, structure=_TOUCHING)
        yield Metric("largest_piece", 100.0 * float(np.bincount(pieces[mask]).max()) / voxels, **at)
        if case.votes is not None:
            yield Metric("votes", float(np.mean(case.votes[block][mask])), **at)
    for structure in STRUCTURES:
        left, right = (sum(int(counts[code]) for code in codes_of(structure, side)) for side in SIDES)
        if left + right:
            yield Metric("asymmetry", 200.0 * abs(right - left) / (right + left), structure=structure)
    half = {side: sum(int(counts[code]) for code in codes_of(side=side)) for side in SIDES}
    yield Metric("asymmetry", 200.0 * abs(half["right"] - half["left"]) / total, structure=WHOLE)
    for column, values in (case.confidence or {}).items():
        for label, value in zip(LABELS, values, strict=True):
            if value is not None:
                yield Metric(column, value, structure=label.structure, side=label.side)
