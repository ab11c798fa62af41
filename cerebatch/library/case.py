"""A labelled case and its mirrored twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebatch import labels
from cerebatch.spatial.space import LabelMap, Volume


@dataclass(frozen=True)
class LabelledCase:
    """Images and labels of one cerebellum on the cerebellum box.

    Attributes
    ----------
    name : str
        Unique in its library.
    person, head : str
        Whose lobules these are, and whose head surrounds them.
    twin : str
        Name of the mirrored twin, "" if none.
    mirrored : bool
        Whether left and right were exchanged.
    rendered : bool
        False for a real scan.
    overlap : float
        Dice of the lobule map and the head's cerebellum.
    visible_share : float
        Share of the lobules' borders with a change of tissue; NaN without borders.
    sources : tuple of str
        Names of the files that the case was made from.
    image : (2, X, Y, Z) float32
        T1w and T2w at the targets of the normalisation, 0 to 500; kept as float16.
    tissue : (T, X, Y, Z) uint8
        Share of each of `TISSUES` in 1/255; zeros for a real scan.
    dseg : (X, Y, Z) uint8
        Cerebatch codes, the arbor vitae counted as white matter.
    lobules : (X, Y, Z) uint8
        The same, the arbor vitae counted with its lobule.
    """

    name: str
    person: str
    head: str
    twin: str
    mirrored: bool
    rendered: bool
    overlap: float
    visible_share: float
    sources: tuple[str, ...]
    image: Volume
    tissue: NDArray[np.uint8]
    dseg: LabelMap
    lobules: LabelMap


def twin_name(name: str) -> str:
    """Name of the mirrored twin of a case."""
    return f"{name}-mirrored"


def mirrored_twin(case: LabelledCase) -> LabelledCase:
    """The case with left and right exchanged: in the images, the tissues, the places and codes of the labels.

    The box is symmetric about x = 0, so nothing is resampled. The twin names the case as its own twin; the twin of
    the twin is the case again. `mirrored_pair` gives both, each with the name of the other.
    """
    return replace(
        case,
        name=case.twin or twin_name(case.name),
        twin=case.name,
        mirrored=not case.mirrored,
        image=flipped(case.image),
        tissue=flipped(case.tissue),
        dseg=labels.mirrored(flipped(case.dseg)),
        lobules=labels.mirrored(flipped(case.lobules)),
    )


def mirrored_pair(case: LabelledCase) -> tuple[LabelledCase, LabelledCase]:
    """A case and its mirrored twin, each with the name of the other."""
    twin = mirrored_twin(case)
    return replace(case, twin=twin.name), twin


def flipped(array: NDArray[Any]) -> NDArray[Any]:
    """Voxels with left and right exchanged, the codes as they were; the last three axes are X, Y, Z."""
    return np.ascontiguousarray(array[..., ::-1, :, :])
