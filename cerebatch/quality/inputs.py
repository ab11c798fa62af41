"""What quality is computed from: everything that the stage `measure` has of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume, cerebellum_box


@dataclass(frozen=True)
class QualityInputs:
    """One segmented case.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Labels on the cerebellum box.
    t1w : (X, Y, Z) float32
        The prepared scan on the cerebellum box.
    scan, scan_grid
        The scan as it was read, float32, and its grid in the native frame.
    stored_grid : Grid
        Of the T1w file, native frame.
    mni_from_native : (4, 4) float
    resolution : float
        Edge of the MNI grid in millimetres.
    local_correlation : float
    icv_cm3 : float
        The one that percentages are taken of.
    confidence : mapping or None
        Column -> 26 values in the order of the codes, as `segment_by_networks` writes them.
    votes : (X, Y, Z) float or None
        The winning label's share of the atlas' votes.
    """

    dseg: LabelMap
    t1w: Volume
    scan: Volume
    scan_grid: Grid
    stored_grid: Grid
    mni_from_native: Affine
    resolution: float
    local_correlation: float
    icv_cm3: float
    confidence: Mapping[str, Sequence[float | None]] | None = None
    votes: NDArray[np.floating] | None = None

    @property
    def box(self) -> Grid:
        """Grid of `dseg` and `t1w`, MNI frame."""
        return cerebellum_box(self.resolution)

    @property
    def voxel_cm3(self) -> float:
        """Native volume that a voxel of the box stands for."""
        return self.box.voxel_volume_mm3 / float(np.linalg.det(self.mni_from_native[:3, :3])) / 1000.0
