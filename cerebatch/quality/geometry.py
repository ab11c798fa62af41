"""Quality of geometry: the affine, the head's size, and labels at edges and across the midline."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cerebatch.labels import LABELS
from cerebatch.measures import icv
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.metric import Metric
from cerebatch.spatial.space import apply, inverse

_EDGE_MM = 2.0
_ACROSS_MM = 4.0


def geometry_metrics(case: QualityInputs) -> Iterator[Metric]:
    """Metrics of the affine, the field of view, the box and the sides.

    Parameters
    ----------
    case : QualityInputs
        With at least one label.
    """
    scales = np.linalg.svd(case.mni_from_native[:3, :3], compute_uv=False)
    yield Metric("affine_scale", float(np.prod(scales) ** (1 / 3)))
    yield Metric("affine_stretch", float(scales.max() / scales.min()))
    yield Metric("local_correlation", case.local_correlation)
    yield Metric("icv", case.icv_cm3)
    yield Metric("icv_over_affine", case.icv_cm3 / icv.icv_cm3(case.mni_from_native))
    voxels = np.argwhere(case.dseg > 0)
    yield Metric("cerebellum_of_icv", 100.0 * len(voxels) * case.voxel_cm3 / case.icv_cm3)
    native = apply(inverse(case.mni_from_native) @ case.box.affine, voxels.astype(float))
    index = apply(inverse(case.stored_grid.affine), native)
    size = np.array(case.stored_grid.shape)
    beyond = np.maximum(-0.5 - index, index - (size - 0.5)) * case.stored_grid.voxel_sizes_mm
    farthest = beyond.max(axis=1)  # millimetres beyond the nearest face; negative inside
    yield Metric("outside_scan", _percent(farthest > 0))
    yield Metric("scan_edge", _percent(farthest > -_EDGE_MM))
    last = np.array(case.box.shape) - 1
    yield Metric("box_edge", _percent(((voxels == 0) | (voxels == last)).any(axis=1)))
    yield Metric("unlit", _percent(case.t1w[tuple(voxels.T)] <= 0))
    x = apply(case.box.affine, voxels.astype(float))[:, 0]
    codes = case.dseg[tuple(voxels.T)]
    left = np.isin(codes, [label.index for label in LABELS if label.side == "left"])
    for side, own, across in (("left", left, x >= _ACROSS_MM), ("right", ~left, x <= -_ACROSS_MM)):
        yield Metric("wrong_side", _percent(across[own]), side=side)


def _percent(true: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return 100.0 * float(np.mean(true)) if len(true) else float("nan")
