"""What is measured about the quality of a case, and how it is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass

WHOLE = "cerebellum"
BOTH = "both"

DESCRIPTIONS: dict[str, tuple[str, str]] = {
    "affine_scale": ("Cube root of the determinant of the affine native -> MNI", "1"),
    "affine_stretch": ("Largest over smallest scale of that affine", "1"),
    "local_correlation": ("Local correlation of the scan with the template's brain", "1"),
    "icv_over_affine": ("Intracranial volume that percentages are taken of, over the estimate from the affine", "1"),
    "icv": ("Intracranial volume that percentages are taken of", "cm3"),
    "cerebellum_of_icv": ("Volume of all labels in per cent of the intracranial volume", "%"),
    "outside_scan": ("Share of the labels that lie outside the field of view", "%"),
    "scan_edge": ("Share of the labels within 2 mm of the edge of the field of view, or beyond it", "%"),
    "box_edge": ("Share of the labels in the outermost voxels of the cerebellum box", "%"),
    "unlit": ("Share of the labels where the prepared scan is 0: cut away, or never scanned", "%"),
    "wrong_side": ("Share of the labels of a side that lie 4 mm or more across the midline of the template", "%"),
    "volume": ("Volume, voxels of the MNI grid scaled back", "cm3"),
    "share_of_cerebellum": ("Volume in per cent of all labels", "%"),
    "largest_piece": ("Share of the structure's voxels in its largest piece", "%"),
    "asymmetry": ("Size of 100 (right - left) / mean of both", "%"),
    "probability": ("Mean probability that the networks give the structure inside it", "1"),
    "agreement": ("Dice of what each architecture says alone", "1"),
    "dice_with_atlas": ("Dice of the networks' labels with the subject-specific atlas", "1"),
    "votes": ("Mean share of the atlas' votes for the winning label inside the structure", "1"),
    "label_offset": ("Shift of the labels, along the axes, at which they explain the prepared scan best", "mm"),
    "labels_explain": ("Share of the variance of the prepared scan, in and around the cerebellum, by its labels", "1"),
    "noise": ("Noise left in the prepared scan, of the difference of grey and white matter", "%"),
    "contrast": ("Mean of white matter less that of lobules in the prepared scan; 100 between pure tissues", "1"),
    "scan_noise": ("Noise of the scan as it came, of the mean of white matter", "%"),
    "scan_contrast": ("White matter less grey matter of the scan as it came, of their mean", "%"),
    "scan_bias": ("Range (5th to 95th percentile) of smoothed white matter of the scan as it came, of its median", "%"),
    "scan_air": ("Mean of the air around the head of the scan as it came, of the mean of white matter", "%"),
    "largest_voxel": ("Longest edge of a voxel of the scan", "mm"),
}  # fmt: skip
"""Metric -> what it is, and its unit."""

COLUMNS = {
    "metric": {
        "Description": "What was measured",
        "Levels": {name: f"{words}; {unit}" for name, (words, unit) in DESCRIPTIONS.items()},
    },
    "structure": {"Description": "Lobule or white matter; cerebellum where the whole is meant"},
    "side": {"Description": "left, right, or both"},
    "value": {"Description": "In the unit of the metric; n/a where it cannot be told"},
}
"""Data dictionary of ``*_quality.tsv``."""


@dataclass(frozen=True)
class Metric:
    """One measured number.

    Attributes
    ----------
    name : str
        A key of `DESCRIPTIONS`.
    value : float
        NaN where it cannot be told.
    structure, side : str
    """

    name: str
    value: float
    structure: str = WHOLE
    side: str = BOTH

    def as_text(self) -> dict[str, str]:
        """Columns as written."""
        value = "n/a" if math.isnan(self.value) else f"{self.value:.4f}"
        return {"metric": self.name, "structure": self.structure, "side": self.side, "value": value}
