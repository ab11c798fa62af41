"""Grey and white matter of a label map in two conventions: folia with the white matter, or with their lobules."""

from __future__ import annotations

import numpy as np

from cerebatch.labels import WHITE_MATTER
from cerebatch.measures.folia import CORE_OPENING_MM, white_core, with_folia
from cerebatch.spatial.space import Grid, LabelMap


def tissue_volumes_cm3(
    dseg: LabelMap, box: Grid, voxel_mm3: float, opening_mm: float = CORE_OPENING_MM
) -> dict[str, float]:
    """Volumes in the head, cm3: lobules without and with white matter of the folia, core and all white matter.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        On `box`.
    box : Grid
    voxel_mm3 : float
        What a voxel of the box stands for in the head.
    opening_mm : float
        As `folia.white_core` takes it.
    """
    cm3, lobules = voxel_mm3 / 1000, (dseg > 0) & ~np.isin(dseg, WHITE_MATTER)
    folded = with_folia(dseg, box, opening_mm)
    return {
        "grey matter": float(lobules.sum() * cm3),
        "with folia": float(((folded > 0) & ~np.isin(folded, WHITE_MATTER)).sum() * cm3),
        "core": float(white_core(dseg, box, opening_mm).sum() * cm3),
        "white matter": float(((dseg > 0) & ~lobules).sum() * cm3),
    }
