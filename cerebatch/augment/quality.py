"""Whether a bent case can be believed: what is measured of it, and the limits beyond which it is set aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.augment.warp import Bent
from cerebatch.labels import LABELS, N_CLASSES
from cerebatch.spatial.space import Field, LabelMap, Volume, jacobian

_CEILING = 300.0
"""Brighter than white matter is not compared: fat and vessels differ between scans for no reason of shape."""

_FEW_VOXELS = 30
"""Structures of fewer voxels come and go by their rounding alone."""


@dataclass(frozen=True)
class Limit:
    """What a figure may be.

    Attributes
    ----------
    figure : str
        Attribute of `Checks`.
    low, high : float
    says : str
        What is wrong beyond them.
    """

    figure: str
    low: float
    high: float
    says: str


LIMITS = (
    Limit("folded_share", 0.0, 0.005, "the deformation folds"),
    Limit("face_voxels", 0, 0, "labels are cut off by the faces of the box"),
    Limit("similarity_gain", -0.02, 2.0, "the bent case looks less like the target than before"),
    Limit("similarity_after", 0.6, 1.0, "the bent case does not look like the target"),
    Limit("whole_ratio", 0.4, 2.5, "the whole cerebellum has an implausible volume"),
    Limit("least_ratio", 0.2, np.inf, "a structure nearly vanished"),
    Limit("largest_ratio", 0.0, 5.0, "a structure swelled"),
)
"""When a case is set aside. Chosen on the eleven scans and the phantoms of the tests: wide, they catch accidents."""


@dataclass(frozen=True)
class Checks:
    """What was measured of a bent case.

    Attributes
    ----------
    similarity_before, similarity_after : float
        Correlation of target and case, and of target and bent case, in the region where they are compared.
    jacobian_min, jacobian_p01, jacobian_p99 : float
        Least value and percentiles of the Jacobian determinant where the bent case has labels.
    folded_share : float
        Share of these voxels where it is 0 or less.
    face_voxels : int
        Labels of the bent case at the faces of the box.
    volume_before_cm3, volume_after_cm3 : tuple of float
        Of each of the 26 structures, by code.
    similarity_gain, whole_ratio, least_ratio, largest_ratio : float
        After over before; the ratios of single structures are those of 30 voxels and more.
    """

    similarity_before: float
    similarity_after: float
    jacobian_min: float
    jacobian_p01: float
    jacobian_p99: float
    folded_share: float
    face_voxels: int
    volume_before_cm3: tuple[float, ...]
    volume_after_cm3: tuple[float, ...]
    similarity_gain: float
    whole_ratio: float
    least_ratio: float
    largest_ratio: float


def check(
    target: Volume,
    case: Volume,
    labels: LabelMap,
    bent: Bent,
    field: Field,
    region: NDArray[np.bool_],
    voxel_mm3: float,
) -> Checks:
    """Measure a bent case.

    Parameters
    ----------
    target, case : (X, Y, Z) float32
        T1w of the target and of the case before it was bent.
    labels : (X, Y, Z) uint8
        Of the case before it was bent.
    bent : Bent
    field : (X, Y, Z, 3) float32
        In voxels.
    region : (X, Y, Z) bool
        Where similarity is measured.
    voxel_mm3 : float
    """
    before, after = similarity(target, case, region), similarity(target, bent.image[0], region)
    labelled = bent.dseg > 0
    # A map that lost all its labels is judged by its volumes; its Jacobian is then that of the whole region.
    determinants = jacobian(field)[labelled if labelled.any() else region]
    had, has = _counts(labels), _counts(bent.dseg)
    judged = had >= _FEW_VOXELS
    ratios = has[judged] / had[judged]
    faces = sum(
        int(np.count_nonzero(bent.dseg.take(end, axis)) + np.count_nonzero(bent.lobules.take(end, axis)))
        for axis in range(3)
        for end in (0, -1)
    )
    return Checks(
        similarity_before=before,
        similarity_after=after,
        jacobian_min=float(determinants.min()),
        jacobian_p01=float(np.percentile(determinants, 1)),
        jacobian_p99=float(np.percentile(determinants, 99)),
        folded_share=float(np.mean(determinants <= 0)),
        face_voxels=faces,
        volume_before_cm3=tuple((had * voxel_mm3 / 1000).tolist()),
        volume_after_cm3=tuple((has * voxel_mm3 / 1000).tolist()),
        similarity_gain=after - before,
        whole_ratio=float(has.sum() / max(had.sum(), 1)),
        least_ratio=float(ratios.min(initial=np.inf)) if ratios.size else 1.0,
        largest_ratio=float(ratios.max(initial=0.0)) if ratios.size else 1.0,
    )


def reasons(checks: Checks) -> list[str]:
    """Why a case must be set aside, a phrase each; none if it is good."""
    found = []
    for limit in LIMITS:
        value = float(getattr(checks, limit.figure))
        if not limit.low <= value <= limit.high:
            found.append(f"{limit.says} ({limit.figure} {value:.3g}, limits {limit.low:g} to {limit.high:g})")
    return found


def similarity(one: Volume, other: Volume, region: NDArray[np.bool_]) -> float:
    """Correlation of two images in a region, nothing counted brighter than white matter; 0 where one is flat."""
    a, b = (np.minimum(image[region], _CEILING).astype(np.float64) for image in (one, other))
    spread = a.std() * b.std()
    if spread == 0:
        return 0.0
    correlation = np.mean((a - a.mean()) * (b - b.mean())) / spread
    return float(np.clip(correlation, -1, 1))


def _counts(dseg: LabelMap) -> NDArray[np.int64]:
    assert len(LABELS) == N_CLASSES - 1
    return np.bincount(dseg.ravel(), minlength=N_CLASSES)[1:N_CLASSES]
