"""The subject-specific atlas: the most similar cases, warped to the scan and fused (section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.intensity.standardise import standardised
from cerebatch.library.store import Library
from cerebatch.spatial.blocks import cut
from cerebatch.spatial.deformable import Register, by_greedy
from cerebatch.spatial.fusion import warp_and_fuse
from cerebatch.spatial.space import Field, LabelMap, Volume
from cerebatch.timing import StepLog

CASES = 20
"""N of section 2.3."""

DISTANCE_WEIGHT = 0.5
"""d of equation 2."""

REGISTERED_MM = 1.0
"""Edge of the voxels that cases are registered on, where those of the grid are smaller."""

_REGISTRATION_CEILING = 300.0
"""Just above white matter: fat and vessels must not steer."""

_AROUND_MM = 4.0


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

    Raises
    ------
    LibraryError
        No case is left, or one cannot be read.
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
        fields = register_cases(t1w, images, region, library.resolution, threads, register)
    with log.step("fuse"):
        dseg, share = fuse_cases(t1w, images, labels, fields, region, DISTANCE_WEIGHT, threads)
        labels = [library.lobules(index) for index in chosen]
        lobules, _ = fuse_cases(t1w, images, labels, fields, region, DISTANCE_WEIGHT, threads)
    return SubjectAtlas(dseg, share, lobules, tuple(library.names[index] for index in chosen))


def register_cases(
    scan: Volume,
    cases: Sequence[Volume],
    region: NDArray[np.bool_],
    resolution: float,
    threads: int = 1,
    register: Register | None = None,
) -> list[Field]:
    """Displacements that bring library cases onto a scan.

    All are reduced to voxels of 1 mm, where the fields live.

    Parameters
    ----------
    scan : (X, Y, Z) float32
        T1w on the cerebellum box.
    cases : sequence of (X, Y, Z) float32
        The same contrast.
    region : (X, Y, Z) bool
        Where they are compared.
    resolution : float
        Voxel edge in millimetres.
    threads : int
    register : callable, optional
        Scan, cases, region, voxel edge in millimetres, threads -> fields in voxels: by greedy, or by a network.

    Returns
    -------
    fields : list of (x, y, z, 3) float32
        In voxels of the images: the case at ``index + field`` belongs to the scan at ``index``.

    Raises
    ------
    StageError
        Greedy failed.
    """
    factor = _factor(resolution)
    mask = _reduced(region.astype(np.float32), factor) > 0
    seen = [seen_by_registration(case, resolution) for case in cases]
    fixed = seen_by_registration(scan, resolution)
    fields = (register or by_greedy())(fixed, seen, mask, resolution * factor, threads)
    return [np.float32(factor) * field for field in fields]


def fuse_cases(
    scan: Volume,
    images: Sequence[Volume],
    labels: Sequence[LabelMap],
    fields: Sequence[Field],
    region: NDArray[np.bool_],
    distance_weight: float,
    threads: int = 1,
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

    Returns
    -------
    dseg : (X, Y, Z) uint8
    share : (X, Y, Z) float32
    """
    standard = [standardised(image, region) for image in images]
    return warp_and_fuse(standardised(scan, region), standard, labels, fields, distance_weight, threads)


def compared_region(library: Library) -> NDArray[np.bool_]:
    """Where cerebella lie and what is around, so that their outline is seen from both sides; (X, Y, Z)."""
    region = library.region()
    for axis, (have, want) in enumerate(zip(region.shape, library.grid.shape, strict=True)):
        region = np.repeat(region, want // have, axis=axis)
    return np.asarray(ndimage.distance_transform_edt(~region, sampling=library.resolution) <= _AROUND_MM)


def seen_by_registration(image: Volume, resolution: float) -> Volume:
    """What a registration sees: no finer than 1 mm, nothing brighter than white matter, slightly smoothed.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Prepared T1w, or that of a library case.
    resolution : float
        Voxel edge in millimetres.

    Returns
    -------
    seen : (x, y, z) float32
    """
    factor = _factor(resolution)
    clipped = np.minimum(_reduced(image, factor), np.float32(_REGISTRATION_CEILING))
    smooth: Volume = ndimage.gaussian_filter(clipped, 1.0 / (resolution * factor))
    return smooth


def _factor(resolution: float) -> int:
    return max(1, round(REGISTERED_MM / resolution))


def _reduced(image: Volume, factor: int) -> Volume:
    """Means of blocks of voxels."""
    return np.asarray(cut(image, factor).mean(axis=(1, 3, 5)), dtype=np.float32)
