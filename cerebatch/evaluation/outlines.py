"""A label map against a manual outline of the cerebellum: the whole, what of it is bright, white matter, vermis.

Manual outlines close small fissures that cerebatch leaves open where the scan shows them dark. So the whole is told
twice: as it stands, and with dark voxels *inside the manual outline* left out of both maps. Dark voxels outside stay: a
map that grows beyond the brain pays for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.protocols import Protocol
from cerebatch.evaluation.scores import NAN
from cerebatch.intensity.tissue import TARGETS
from cerebatch.labels import WHITE_MATTER
from cerebatch.measures.folia import CORE_OPENING_MM, white_core
from cerebatch.measures.overlap import dice
from cerebatch.spatial.space import Grid, LabelMap, Volume

DARK_BELOW = (TARGETS["T1w"].csf + TARGETS["T1w"].gm) / 2
"""What is darker in a prepared T1w is fluid: half-way between the targets of fluid (50) and grey matter (150)."""


_WHITE = WHITE_MATTER


@dataclass(frozen=True)
class OutlineFigures:
    """Figures of one scan; NaN where there is nothing to tell.

    Attributes
    ----------
    whole, volume_ratio : float
        Dice, and our volume over the manual one.
    whole_bright, volume_ratio_bright : float
        The same with dark voxels inside the manual outline left out of both.
    missed_cm3, missed_bright_cm3 : float
        Inside the manual outline and not labelled by us: all, and what is not dark.
    beyond_cm3 : float
        Labelled by us outside the manual outline.
    white, white_ratio : float
        Our white matter as it stands: Dice with the manual white matter, volume over its volume.
    core, core_ratio : float
        The same of our white matter opened (`folia.white_core`): hands draw the core, the folia are in their cortex.
    groups : float
        Share of the vermis groups' voxels that we call a lobule whose lobule belongs to its group.
    sides : float
        Share of the voxels that both call cortex with the same side.
    """

    whole: float
    volume_ratio: float
    whole_bright: float
    volume_ratio_bright: float
    missed_cm3: float
    missed_bright_cm3: float
    beyond_cm3: float
    white: float
    white_ratio: float
    core: float
    core_ratio: float
    groups: float
    sides: float


def outline_figures(
    dseg: LabelMap,
    manual: LabelMap,
    t1w: Volume,
    grid: Grid,
    protocol: Protocol,
    *,
    voxel_mm3: float | None = None,
    opening_mm: float = CORE_OPENING_MM,
) -> OutlineFigures:
    """Score a map against a manual outline, natively or in the cerebellum box.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    manual : (X, Y, Z) uint8
        Numbers of `Protocol.merge_other`, on the same grid (`protocols.in_box` brings them to the box).
    t1w : (X, Y, Z) float32
        Prepared T1w (CSF 50, grey 150, white 250) on the same grid; where it was cut away it is 0, and dark.
    grid : Grid
    protocol : Protocol
        "manual-outline", or another with cortex, white matter and groups.
    voxel_mm3 : float, optional
        What a voxel stands for in the head; the grid's without it. In the box: over the determinant of the affine.
    opening_mm : float
        Of `folia.white_core`.
    """
    cm3 = (grid.voxel_volume_mm3 if voxel_mm3 is None else voxel_mm3) / 1000
    ours, theirs = dseg > 0, manual > 0
    kept = ~dark_inside(t1w, theirs)
    white = np.isin(dseg, _WHITE)
    core = white_core(dseg, grid, opening_mm)
    manual_white = np.isin(manual, protocol.numbers("white matter"))
    found = agreement(dseg, manual, protocol)
    missed = theirs & ~ours
    return OutlineFigures(
        whole=dice(ours, theirs),
        volume_ratio=_ratio(ours, theirs),
        whole_bright=dice(ours & kept, theirs & kept),
        volume_ratio_bright=_ratio(ours & kept, theirs & kept),
        missed_cm3=float(missed.sum() * cm3),
        missed_bright_cm3=float((missed & kept).sum() * cm3),
        beyond_cm3=float((ours & ~theirs).sum() * cm3),
        white=dice(white, manual_white),
        white_ratio=_ratio(white, manual_white),
        core=dice(core, manual_white),
        core_ratio=_ratio(core, manual_white),
        groups=found.groups,
        sides=found.names,
    )


def dark_inside(t1w: Volume, outline: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels of an outline that the prepared T1w shows as fluid (`DARK_BELOW`).

    Parameters
    ----------
    t1w : (X, Y, Z) float32
    outline : (X, Y, Z) bool
    """
    return outline & (t1w < DARK_BELOW)


SPILL_MM = 3.0
"""What lies nearer may be another opinion on where the cerebellum ends."""


def spill_cm3(
    dseg: LabelMap, cerebellum: NDArray[np.bool_], grid: Grid, beyond_mm: float = SPILL_MM
) -> tuple[float, float]:
    """Volume that is labelled further than a distance outside a cerebellum: of lobules, and of white matter.

    Lobules there are a fault. White matter may be a peduncle, which no two protocols cut at the same place.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    cerebellum : (X, Y, Z) bool
        What somebody else calls cerebellum; not empty.
    grid : Grid
    beyond_mm : float

    Returns
    -------
    lobules, white : float
        cm3 on the grid.
    """
    away_mm = ndimage.distance_transform_edt(~cerebellum, sampling=grid.voxel_sizes_mm)
    beyond = dseg[away_mm > beyond_mm]
    white = int(np.isin(beyond, _WHITE).sum())
    cm3 = grid.voxel_volume_mm3 / 1000
    return (int((beyond > 0).sum()) - white) * cm3, white * cm3


def _ratio(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    return float(ours.sum() / theirs.sum()) if theirs.any() else NAN
