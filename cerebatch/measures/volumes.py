"""Volumes from a label map: structures, lobes and the whole, left, right and both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cerebatch.labels import LABELS, LOBES, STRUCTURES, codes_of
from cerebatch.spatial.space import LabelMap

SIDES = ("left", "right", "both")
WHOLE = "cerebellum"

COLUMNS = {
    "structure": {"Description": "Lobule, white matter, lobe, or the whole cerebellum (all 26 labels)"},
    "side": {"Description": "left, right, or both sides together", "Levels": {side: side for side in SIDES}},
    "volume_cm3": {
        "Description": "Voxels counted on the MNI grid over the determinant of the affine native -> MNI",
        "Units": "cm3",
    },
    "native_count_cm3": {"Description": "Voxels counted on the grid of the scan", "Units": "cm3"},
    "percent_icv": {"Description": "volume_cm3 in per cent of the intracranial volume", "Units": "%"},
    "with_folia_cm3": {
        "Description": "As volume_cm3, white matter of the folia counted with its lobule, as CERES and manual maps do: "
        "by a vote of its own where an atlas was fused from a library's cases; else white matter that an opening by "
        "3 mm takes away is counted with the nearest lobule of its side",
        "Units": "cm3",
    },
    "asymmetry": {
        "Description": "100 (right - left) / mean of both, from volume_cm3; positive where the right is larger",
        "Units": "%",
    },
}
"""Data dictionary of the table of volumes."""


@dataclass(frozen=True)
class Row:
    """One line of the table; None stands for n/a.

    Attributes
    ----------
    structure, side : str
    volume_cm3, native_count_cm3, percent_icv, with_folia_cm3 : float or None
    asymmetry : float or None
        Per cent; only where the side is "both".
    """

    structure: str
    side: str
    volume_cm3: float | None
    native_count_cm3: float | None
    percent_icv: float | None
    with_folia_cm3: float | None
    asymmetry: float | None

    def as_text(self) -> dict[str, str]:
        """Columns as written: four decimals, n/a where there is nothing."""
        values = {column: getattr(self, column) for column in COLUMNS}
        return {
            column: "n/a" if value is None else value if isinstance(value, str) else f"{value:.4f}"
            for column, value in values.items()
        }


def counted_cm3(dseg: LabelMap, voxel_mm3: float) -> dict[int, float]:
    """Volume of each label.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
    voxel_mm3 : float
        Volume that one voxel stands for.

    Returns
    -------
    volumes : dict
        Code -> cm3, for all 26 labels.
    """
    counts = np.bincount(dseg.ravel(), minlength=len(LABELS) + 1)
    return {label.index: float(counts[label.index] * voxel_mm3 / 1000.0) for label in LABELS}


def table(
    volumes_cm3: dict[int, float] | None,
    native_cm3: dict[int, float] | None,
    icv_cm3: float | None,
    with_folia_cm3: dict[int, float] | None = None,
) -> list[Row]:
    """Rows for 13 structures, 4 lobes and the whole cerebellum, each left, right and both.

    Parameters
    ----------
    volumes_cm3 : dict or None
        Code -> cm3, scaled back from the MNI grid.
    native_cm3 : dict or None
        Code -> cm3, counted on the scan's grid.
    icv_cm3 : float or None
    with_folia_cm3 : dict or None
        Code -> cm3 like `volumes_cm3`, white matter of the folia counted with its lobule.
    """
    rows = []
    for name, codes in _groups():
        for side in SIDES:
            chosen = [code for code in codes if side in ("both", LABELS[code - 1].side)]
            volume = _total(volumes_cm3, chosen)
            rows.append(
                Row(
                    structure=name,
                    side=side,
                    volume_cm3=volume,
                    native_count_cm3=_total(native_cm3, chosen),
                    percent_icv=None if volume is None or icv_cm3 is None else 100.0 * volume / icv_cm3,
                    with_folia_cm3=_total(with_folia_cm3, chosen),
                    asymmetry=_asymmetry(volumes_cm3 or native_cm3, codes) if side == "both" else None,
                )
            )
    return rows


def _groups() -> Iterator[tuple[str, list[int]]]:
    for structure in STRUCTURES:
        yield structure, list(codes_of(structure))
    for lobe in LOBES:
        yield lobe, [label.index for label in LABELS if label.lobe == lobe]
    yield WHOLE, [label.index for label in LABELS]


def _total(volumes_cm3: dict[int, float] | None, codes: list[int]) -> float | None:
    return None if volumes_cm3 is None else sum(volumes_cm3[code] for code in codes)


def _asymmetry(volumes_cm3: dict[int, float] | None, codes: list[int]) -> float | None:
    if volumes_cm3 is None:
        return None
    left = sum(volumes_cm3[code] for code in codes if LABELS[code - 1].side == "left")
    right = sum(volumes_cm3[code] for code in codes if LABELS[code - 1].side == "right")
    return None if left + right == 0 else 200.0 * (right - left) / (right + left)
