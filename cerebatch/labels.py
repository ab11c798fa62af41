"""The 27 labels of the protocol: background (0), 12 lobules and the white matter, left and right.

The table itself is `labels.tsv`, the only place where a code, a name or a colour is written down.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]

LOBES = ("anterior", "posterior_superior", "posterior_inferior", "flocculonodular")
"""The lobes that volumes are summed over; the white matter belongs to none of them."""


@dataclass(frozen=True)
class Label:
    """One structure of one side.

    Attributes
    ----------
    index : int
        Code in every label map that cerebatch writes, 1 to 26.
    name, abbreviation : str
        As written in BIDS label tables.
    structure : str
        Name without the side ("Crus I"); the same on both sides.
    side : {"left", "right"}
    lobe : str
        One of `LOBES`, or "white_matter".
    color : str
        Hexadecimal RGB.
    cobralab : int
        Code of the same structure in the CoBrALab maps (Park et al. 2014).
    """

    index: int
    name: str
    abbreviation: str
    structure: str
    side: Side
    lobe: str
    color: str
    cobralab: int


def _read_table() -> tuple[Label, ...]:
    text = resources.files("cerebatch").joinpath("labels.tsv").read_text()
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return tuple(
        Label(
            index=int(row["index"]),
            name=row["name"],
            abbreviation=row["abbreviation"],
            structure=row["structure"],
            side="left" if row["side"] == "left" else "right",
            lobe=row["lobe"],
            color=row["color"],
            cobralab=int(row["cobralab"]),
        )
        for row in rows
    )


LABELS: tuple[Label, ...] = _read_table()
"""All 26 labels in the order of their codes."""

STRUCTURES: tuple[str, ...] = tuple(label.structure for label in LABELS if label.side == "left")
"""The 13 structures of a side, in the order of their codes."""

N_CLASSES = len(LABELS) + 1
"""Labels with background."""

SIDES: tuple[Side, ...] = ("left", "right")


def codes_of(structure: str | None = None, side: Side | None = None) -> tuple[int, ...]:
    """Codes of a structure, of a side, or of both; ascending."""
    return tuple(label.index for label in LABELS if structure in (None, label.structure) and side in (None, label.side))


WHITE_MATTER: tuple[int, ...] = codes_of(structure="White matter")
"""Codes of the white matter, left and right."""


def homologue(code: int) -> int:
    """Code of the same structure on the other side."""
    label = LABELS[code - 1]
    return next(one for one in codes_of(structure=label.structure) if one != code)


_MIRRORED = np.arange(256, dtype=np.uint8)
_SIDE, _STRUCTURE, _WHITE_MATTER = np.zeros((3, 256), dtype=np.uint8)
for _label in LABELS:
    _MIRRORED[_label.index] = homologue(_label.index)
    _SIDE[_label.index] = 1 + SIDES.index(_label.side)
    _STRUCTURE[_label.index] = 1 + STRUCTURES.index(_label.structure)
    (_WHITE_MATTER[_label.index],) = codes_of("White matter", _label.side)


def mirrored(dseg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Exchange the codes of the two sides; positions stay.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Label map in cerebatch codes.
    """
    return _MIRRORED[dseg]


def side_of(dseg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Side of every voxel: 0 background, 1 left, 2 right.

    Parameters
    ----------
    dseg : (...) uint8
        Cerebatch codes.
    """
    return _SIDE[dseg]


def structure_of(dseg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Structure of every voxel without its side: 0 background, then the place in `STRUCTURES`, from 1.

    Parameters
    ----------
    dseg : (...) uint8
        Cerebatch codes.
    """
    return _STRUCTURE[dseg]


def white_matter_of(dseg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Code of the white matter on the side of every voxel; background stays 0.

    Parameters
    ----------
    dseg : (...) uint8
        Cerebatch codes.
    """
    return _WHITE_MATTER[dseg]


def from_cobralab(dseg: NDArray[np.integer]) -> tuple[NDArray[np.uint8], dict[int, int]]:
    """Translate CoBrALab codes into ours.

    Parameters
    ----------
    dseg : (X, Y, Z) integer
        Label map in the codes of `lobules/codes.tsv` (Park et al. 2014).

    Returns
    -------
    dseg : (X, Y, Z) uint8
        The same map in cerebatch codes; codes outside the protocol became background.
    dropped : dict
        Voxels dropped for each unknown code.
    """
    codes, inverse = np.unique(dseg, return_inverse=True)
    known = {label.cobralab: label.index for label in LABELS}
    table = np.array([known.get(int(code), 0) for code in codes], dtype=np.uint8)
    counts = np.bincount(inverse.ravel(), minlength=len(codes))
    dropped = {
        int(code): int(count) for code, count in zip(codes, counts, strict=True) if code != 0 and int(code) not in known
    }
    return table[inverse].reshape(dseg.shape), dropped
