"""The subject-specific atlas: the most similar cases, warped to the scan and fused (section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.atlas.registering import compared_region, register_cases
from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.atlas.through_mean import register_through_mean
from cerebatch.intensity.standardise import standardised
from cerebatch.library.store import Library
from cerebatch.spatial.deformable import Register
from cerebatch.spatial.fusion import warp_and_fuse
from cerebatch.spatial.space import Field, LabelMap, Volume
from cerebatch.timing import StepLog

CASES = 20
"""N of section 2.3."""

DISTANCE_WEIGHT = 0.5
"""d of equation 2."""


@dataclass(frozen=True)
class SubjectAtlas:
    """Labels that a library gives a scan.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    share : (X, Y, Z) float32
        Votes of the winning label over all votes, 0 to 1.
    lobules : (X, Y, Z) uint8
        The same codes from a vote of its own, white matter of the folia counted with its lobule, as in the maps.
    cases : tuple of str
        Names of the cases that voted, most similar first.
    """

    dseg: LabelMap
    share: Volume
    lobules: LabelMap
    cases: tuple[str, ...]


def make_atlas(
    t1w: Volume,
    library: Library,
    *,
    count: int = CASES,
    leave_out: LeaveOut | None = None,
    threads: int = 1,
    log: StepLog | None = None,
    register: Register | None = None,
    composed: bool = False,
) -> SubjectAtlas:
    """Label a scan by the library.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        Prepared scan on the library's grid.
    library : Library
    count : int
        N, how many cases vote at most.
    leave_out : LeaveOut, optional
        Whom the atlas must not know.
    threads : int
        Of each registration and of the fusion; the result does not depend on it.
    log : StepLog, optional
        Gets the seconds of each step.
    register : callable, optional
        See `register_cases`.
    composed : bool
        Register the scan once, to the library's mean, and compose its field with those of the cases.

    Raises
    ------
    LibraryError
        No case is left, or one cannot be read, or the library has no mean.
    StageError
        A registration failed.
    """
    log = log or StepLog()
    with log.step("select"):
        chosen = most_similar(t1w, library, count, leave_out)
        region = compared_region(library)
    with log.step("read"):
        images = [library.image(index, "T1w") for index in chosen]
        labels = [library.dseg(index) for index in chosen]
    with log.step("register"):
        through = None
        if composed:
            through, fields = register_through_mean(t1w, library, chosen, region, threads)
        else:
            fields = register_cases(t1w, images, region, library.resolution, threads, register)
    with log.step("fuse"):
        dseg, share = fuse_cases(t1w, images, labels, fields, region, DISTANCE_WEIGHT, threads, through)
        labels = [library.lobules(index) for index in chosen]
        lobules, _ = fuse_cases(t1w, images, labels, fields, region, DISTANCE_WEIGHT, threads, through)
    return SubjectAtlas(dseg, share, lobules, tuple(library.names[index] for index in chosen))


def fuse_cases(
    scan: Volume,
    images: Sequence[Volume],
    labels: Sequence[LabelMap],
    fields: Sequence[Field],
    region: NDArray[np.bool_],
    distance_weight: float,
    threads: int = 1,
    through: Field | None = None,
) -> tuple[LabelMap, Volume]:
    """Equation 2 on z-scores of the region, through the displacement fields.

    Parameters
    ----------
    scan : (X, Y, Z) float32
    images : sequence of (X, Y, Z) float32
    labels : sequence of (X, Y, Z) uint8
    fields : sequence of (x, y, z, 3) float32
        As `register_cases` gives them.
    region : (X, Y, Z) bool
    distance_weight : float
        d; 0 counts votes.
    threads : int
    through : (x, y, z, 3) float32, optional
        From the scan to where the fields begin, as `register_through_mean` gives it.

    Returns
    -------
    dseg : (X, Y, Z) uint8
    share : (X, Y, Z) float32
    """
    target, *standard = (standardised(image, region) for image in (scan, *images))
    return warp_and_fuse(target, standard, labels, fields, distance_weight, threads, through=through)
