"""Whole-head label maps: the outline, the surroundings and the position that a lobule map is placed into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.errors import LabelMapError
from cerebatch.io.labelmaps import map_name, read_codes
from cerebatch.library.tissues import TISSUE_OF_CODE, TISSUES, rendered
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Affine, Grid, LabelMap

REGIONS = ("elsewhere", "left white", "left grey", "right white", "right grey", "brain stem")
"""What of a head decides the shape and the surroundings of its cerebellum."""

LEFT_WHITE, LEFT_GREY, RIGHT_WHITE, RIGHT_GREY, BRAIN_STEM = range(1, len(REGIONS))
WHITE = (LEFT_WHITE, RIGHT_WHITE)

_REGION_OF_CODE = {7: LEFT_WHITE, 8: LEFT_GREY, 46: RIGHT_WHITE, 47: RIGHT_GREY, 16: BRAIN_STEM}
_PEDUNCLE_MM = 14.0
"""White matter of the cerebellum this near to the brain stem belongs to the peduncles, which no map labels."""

_LEAST_CEREBELLUM_CM3 = 50.0


@dataclass(frozen=True)
class Head:
    """One head and where it lies in MNI.

    Attributes
    ----------
    name, file_name : str
        Of the file, without and with what follows the name.
    surroundings : (X, Y, Z) uint8
        Indices of `TISSUES` on `grid`, the cerebellum taken out: CSF stands in its place, but its peduncles stay.
    regions : (X, Y, Z) uint8
        Indices of `REGIONS` on `grid`.
    grid : Grid
        Native.
    mni_from_head : (4, 4) float
        Native millimetres -> MNI millimetres.
    """

    name: str
    file_name: str
    surroundings: LabelMap
    regions: LabelMap
    grid: Grid
    mni_from_head: Affine


def read_head(path: Path, *, seed: int = 1) -> Head:
    """Read a head map and bring it to MNI by the affine that every scan gets.

    Parameters
    ----------
    path : Path
        FreeSurfer codes below 200 inside the skull, 500 to 530 outside, as in SynthSeg's training label maps.
    seed : int

    Raises
    ------
    LabelMapError
        Not such a map.
    RegistrationError
        Its rendering did not come to lie on the template.
    """
    codes, grid = read_head_codes(path)
    tissues = _translated(codes, TISSUE_OF_CODE)
    image = rendered({name: (tissues == k).astype(np.float32) for k, name in enumerate(TISSUES)}, "T1w")
    registration = register_to_template(image, grid, seed=seed)
    regions = _translated(codes, _REGION_OF_CODE)
    surroundings = _emptied(tissues, regions, grid)
    return Head(map_name(path), path.name, surroundings, regions, grid, registration.mni_from_native)


def read_head_codes(path: Path) -> tuple[NDArray[np.integer], Grid]:
    """Read a head map as it is and check that it is one.

    Raises
    ------
    LabelMapError
        Unknown codes, or no cerebellum.
    """
    codes, grid = read_codes(path)
    unknown = sorted({int(code) for code in np.unique(codes)} - set(TISSUE_OF_CODE))
    cerebellum = np.isin(codes, (7, 8, 46, 47))
    volume_cm3 = float(cerebellum.sum() * grid.voxel_volume_mm3 / 1000)
    if unknown or volume_cm3 < _LEAST_CEREBELLUM_CM3:
        raise LabelMapError(
            path,
            expected=f"FreeSurfer codes with a cerebellum (7, 8, 46, 47) of {_LEAST_CEREBELLUM_CM3:.0f} cm3 or more",
            found=f"a cerebellum of {volume_cm3:.0f} cm3, unknown codes {unknown[:10]}",
            do="Give whole-head label maps such as SynthSeg's training label maps.",
        )
    return codes, grid


def _emptied(tissues: LabelMap, regions: LabelMap, grid: Grid) -> LabelMap:
    """Tissues with fluid in the cerebellum's place, except for the white matter that leads to the brain stem."""
    stem_mm = ndimage.distance_transform_edt(regions != BRAIN_STEM, sampling=grid.voxel_sizes_mm)
    peduncle = np.isin(regions, WHITE) & (stem_mm < _PEDUNCLE_MM)
    cerebellum = (regions > 0) & (regions < BRAIN_STEM)
    return np.where(cerebellum & ~peduncle, np.uint8(TISSUES.index("CSF")), tissues)


def _translated(codes: NDArray[np.integer], table: dict[int, int]) -> LabelMap:
    known = np.zeros(max(int(codes.max()), *table) + 1, dtype=np.uint8)
    known[list(table)] = list(table.values())
    translated: LabelMap = known[codes]
    return translated
