"""A cerebellum by formula: 26 structures with the published sizes, mirror-symmetric about x = 0.

All coordinates are MNI millimetres (RAS+). Three scalar fields make the anatomy:

* the *outline* is a smooth union of ellipsoids (hemispheres, superior and inferior vermis) without an
  ellipsoid for the brainstem and the fourth ventricle;
* the *core* is an ellipsoid in each hemisphere, the white matter;
* the *fan* is the angle about a transverse axis near the fastigium, from I-II over the top, the back and
  the bottom to X. With the distance from the midline it is squeezed towards the horizontal fissure,
  which keeps I-V, IX and X medial and lets Crus I and II reach far lateral.

Each field is cut where the volumes come out as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cerebatch import labels
from cerebatch.spatial import space

Field = NDArray[np.float64]

VOLUMES_CM3 = {
    "I-II": 0.16,
    "III": 0.9,
    "IV": 1.9,
    "V": 3.8,
    "VI": 7.7,
    "Crus I": 11.5,
    "Crus II": 7.9,
    "VIIB": 4.4,
    "VIIIA": 5.1,
    "VIIIB": 3.5,
    "IX": 3.4,
    "X": 0.68,
    "White matter": 7.7,
}
"""Volume of each structure of one side in cm3: about the mean of the five CoBrALab maps (Park et al. 2014)."""

FAN_START = -0.45
"""Angle (radians from +y towards +z) at which the fan opens: into the fourth ventricle."""

HORIZONTAL_FISSURE = np.pi + 0.1
"""Angle towards which the fan is squeezed far from the midline."""


@dataclass(frozen=True)
class Cuts:
    """Values of the three fields at which the structures have their volumes.

    Attributes
    ----------
    outline, core : float
        The cerebellum, and in it the white matter, lie below these.
    fan : (13,) float
        The fan's smallest value in the cortex, the 11 borders between the lobules, its largest value.
    """

    outline: float
    core: float
    fan: Field


def outline_field(x: Field, y: Field, z: Field) -> Field:
    """Scaled distance from the centres of hemispheres and vermis, infinite in brainstem and ventricle.

    Parameters
    ----------
    x, y, z : float, any shapes that broadcast
        MNI millimetres.
    """
    return np.where(_brainstem_notch(x, y, z) < 1, np.inf, body_field(x, y, z))


def body_field(x: Field, y: Field, z: Field) -> Field:
    """The outline's field before the brainstem is taken out of it; arguments as in `outline_field`."""
    hemisphere = _ellipsoid(x, y, z, centre=(25, -62, -40), radii=(28, 28, 20), roll=13)
    superior = _ellipsoid(x, y, z, centre=(0, -56, -22), radii=(22, 19, 19))
    inferior = _ellipsoid(x, y, z, centre=(8, -58, -46), radii=(11, 13, 17))
    sharpness = 10.0
    parts = [np.exp(-sharpness * part) for part in (hemisphere, superior, inferior)]
    return np.asarray(-np.log(parts[0] + parts[1] + parts[2] + 1e-300) / sharpness)


def core_field(x: Field, y: Field, z: Field) -> Field:
    """Scaled distance from the middle of the white matter; arguments as in `outline_field`."""
    return _ellipsoid(x, y, z, centre=(19, -56, -35), radii=(18, 17, 9), roll=13)


def fan_field(x: Field, y: Field, z: Field) -> Field:
    """Squeezed angle about the transverse axis, in radians; arguments as in `outline_field`."""
    lateral = np.abs(x)
    angle = np.arctan2(z - (-29 - 0.22 * lateral), y - (-55 - 0.08 * lateral))
    angle = np.mod(angle - FAN_START, 2 * np.pi) + FAN_START
    squeeze = 1 / (1 + (lateral / 26) ** 2)
    return np.asarray(HORIZONTAL_FISSURE + (angle - HORIZONTAL_FISSURE) * squeeze)


def labels_at(x: Field, y: Field, z: Field) -> space.LabelMap:
    """Codes of the structures at points.

    Parameters
    ----------
    x, y, z : float, any shapes that broadcast
        MNI millimetres.

    Returns
    -------
    dseg : uint8, the broadcast shape
    """
    cuts = fitted_cuts()
    codes = 1 + np.searchsorted(cuts.fan[1:-1], fan_field(x, y, z), side="right")
    codes = np.where(core_field(x, y, z) < cuts.core, len(labels.STRUCTURES), codes)
    codes = np.where(x > 0, codes + len(labels.STRUCTURES), codes)
    return np.where(outline_field(x, y, z) < cuts.outline, codes, 0).astype(np.uint8)


def template_case(resolution: float) -> tuple[space.LabelMap, space.Grid]:
    """The phantom's labels without pose or shape, on the cerebellum box.

    Parameters
    ----------
    resolution : float
        Edge of a voxel in millimetres.

    Returns
    -------
    dseg : (X, Y, Z) uint8
    grid : Grid
        In the MNI frame.
    """
    grid = space.cerebellum_box(resolution)
    return labels_at(*centres_mm(grid)), grid


def centres_mm(grid: space.Grid) -> tuple[Field, Field, Field]:
    """Voxel centres of a grid without rotation as three arrays that broadcast to its shape."""
    x, y, z = (grid.affine[k, 3] + grid.affine[k, k] * np.arange(n) for k, n in enumerate(grid.shape))
    return x[:, None, None], y[None, :, None], z[None, None, :]


@cache
def fitted_cuts() -> Cuts:
    """Cut the fields so that the left side at 1 mm has the volumes of `VOLUMES_CM3`."""
    x, y, z = centres_mm(space.cerebellum_box(1.0))
    x = x[: len(x) // 2]
    voxels = np.rint(1000 * np.array([VOLUMES_CM3[name] for name in labels.STRUCTURES])).astype(int)

    body = outline_field(x, y, z)
    outline = _cut_below(body, int(voxels.sum()))
    inside = body < outline
    core = core_field(x, y, z)
    core_cut = _cut_below(core[inside], int(voxels[-1]))
    fan = np.sort(fan_field(x, y, z)[inside & (core >= core_cut)])
    borders = np.cumsum(voxels[:-1])[:-1]
    return Cuts(outline, core_cut, np.concatenate([fan[:1], (fan[borders - 1] + fan[borders]) / 2, fan[-1:]]))


def _cut_below(values: Field, count: int) -> float:
    """Value that `count` of the values lie below."""
    low, high = np.partition(values.ravel(), [count - 1, count])[[count - 1, count]]
    return float(low + high) / 2


def _brainstem_notch(x: Field, y: Field, z: Field) -> Field:
    return _ellipsoid(x, y, z, centre=(0, -31, -43), radii=(17, 20, 21), pitch=-8)


def _ellipsoid(
    x: Field,
    y: Field,
    z: Field,
    *,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    roll: float = 0.0,
    pitch: float = 0.0,
) -> Field:
    """Distance from the centre in radii, for a pair of ellipsoids that mirror each other at x = 0.

    Parameters
    ----------
    x, y, z : float
        MNI millimetres.
    centre, radii : (3,) float
        Millimetres; the centre on the right.
    roll, pitch : float
        Degrees; `roll` lets the lateral end sink, `pitch` turns about the x axis.
    """
    a, b, c = np.abs(x) - centre[0], y - centre[1], z - centre[2]
    cos, sin = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    a, c = a * cos - c * sin, a * sin + c * cos
    cos, sin = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    b, c = b * cos - c * sin, b * sin + c * cos
    return np.asarray(np.sqrt((a / radii[0]) ** 2 + (b / radii[1]) ** 2 + (c / radii[2]) ** 2))
