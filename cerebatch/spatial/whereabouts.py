"""Where a head was seen to lie, and the closed form that tells it from many points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import Affine

_ROUNDS = 10
_LEAST_SPREAD_MM = 1.0
_LEAST_POINTS = 50
_LEAST_CAVITY_CM3, _LARGEST_CAVITY_CM3 = 300.0, 2500.0
_LARGEST_ERROR_MM = 15.0
_MOST_TURNED = 100.0
"""Degrees. Heads lie askew, the smallest on their side; nobody lies on their head."""


@dataclass(frozen=True)
class Whereabouts:
    """Where a head was seen.

    Attributes
    ----------
    mni_from_native : (4, 4) float
        Native millimetres -> MNI millimetres.
    error_mm : float
        Median distance of the points from what the affine makes of them.
    cavity_cm3 : float
        Volume seen inside the skull.
    """

    mni_from_native: Affine
    error_mm: float
    cavity_cm3: float

    @property
    def usable(self) -> bool:
        """Whether there is a head at all."""
        return (
            self.error_mm < _LARGEST_ERROR_MM
            and _LEAST_CAVITY_CM3 < self.cavity_cm3 < _LARGEST_CAVITY_CM3
            and float(np.linalg.det(self.mni_from_native[:3, :3])) > 0
        )

    @property
    def turned_degrees(self) -> float:
        """By how much the head is turned against what its header says, whatever the axis."""
        u, _, vt = np.linalg.svd(self.mni_from_native[:3, :3])
        return float(np.rad2deg(np.arccos(np.clip((np.trace(u @ vt) - 1) / 2, -1, 1))))

    def fault(self) -> str:
        """What is wrong, and what to do; empty if nothing is."""
        if not self.usable:
            return (
                f"expected a brain of {_LEAST_CAVITY_CM3:.0f} to {_LARGEST_CAVITY_CM3:.0f} cm3, found "
                f"{self.cavity_cm3:.0f} cm3 that look like one. Look at the scan: it must show a whole brain."
            )
        if self.turned_degrees > _MOST_TURNED:
            return (
                f"expected an upright head, found one turned by {self.turned_degrees:.0f} degrees against its header. "
                "Such a header is wrong as a rule, and where an axis of it is mirrored, left and right are exchanged "
                "as well. Find out how the person lay, and correct the header or convert the original images again."
            )
        return ""


def fitted_affine(points: NDArray[np.float64], places: NDArray[np.float64]) -> tuple[Affine, float]:
    """Least squares with Cauchy weights, so that points that were seen wrongly pull little.

    Parameters
    ----------
    points, places : (N, 3) float

    Returns
    -------
    places_from_points : (4, 4) float
        Identity where there are too few points.
    error_mm : float
        Median distance; infinite where there are too few points.
    """
    if len(points) < _LEAST_POINTS:
        return np.eye(4), float("inf")
    columns = np.column_stack([points, np.ones(len(points))])
    weights = np.ones(len(points))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        solved = np.linalg.lstsq(root * columns, root * places, rcond=None)[0]
        distance = np.linalg.norm(columns @ solved - places, axis=1)
        spread = max(float(np.median(distance)), _LEAST_SPREAD_MM)
        weights = 1 / (1 + (distance / spread) ** 2)
    affine = np.eye(4)
    affine[:3] = solved.T
    return affine, float(np.median(distance))
