"""One scene in four arms: what a network reads when the arbor vitae tells the labels, and when it cannot.

The published maps hold no white matter of the folia; it is grown. Grown lobule by lobule (`library.arbor`) it keeps
away from every border between lobules, and so draws the borders that a network is asked to find, even where the map
shows no fissure. The other arms do not:

    labels   the arbor vitae of each lobule, as in the library
    blind    wherever tissue is deep below fluid, whatever its label, up to the same share of the lobules
    none     the core alone
    filled   as blind, with grey matter in place of the fluid in the fissures

Pose, place, noise and everything else that is drawn are equal in all four, and so is the truth, except that white
matter is what the image shows as white. Only blind minus filled tells what is read from fissures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.labels import WHITE_MATTER
from cerebatch.simulation.scenes.pose import Pose
from cerebatch.simulation.scenes.scene import HeadMap, Lobules, Scene, make_scene, pose_in

Arm = Literal["labels", "blind", "none", "filled"]

ARMS: tuple[Arm, ...] = get_args(Arm)

_THICKNESS_SPREAD = 0.25
"""Standard deviation of the logarithm of the cortex's thickness from place to place."""

_THICKNESS_MM = 6.0
"""Over which the thickness changes."""


def of_arm(lobules: Lobules, arm: Arm, seed: int = 1) -> Lobules:
    """A lobule map with the white matter of an arm.

    Parameters
    ----------
    lobules : Lobules
        As `scene.read_lobules` gives it.
    arm : {"labels", "blind", "none", "filled"}
    seed : int
        Of the thickness.
    """
    core = np.isin(lobules.dseg, WHITE_MATTER)
    if arm == "labels":
        return lobules
    if arm == "none":
        return replace(lobules, white=core)
    share = float((lobules.white & ~core).sum() / ((lobules.dseg > 0) & ~core).sum())
    return replace(lobules, white=blind_arbor(lobules, share, seed))


def arm_scene(lobules: Lobules, head: HeadMap, arm: Arm, seed: int = 1, pose: Pose | None = None) -> Scene:
    """Set a lobule map into a head, in one arm.

    Parameters
    ----------
    lobules : Lobules
        As `scene.read_lobules` gives it.
    head : HeadMap
    arm : {"labels", "blind", "none", "filled"}
    seed : int
        Of the thickness.
    pose : Pose, optional
        Of another arm's scene; found without it.

    Raises
    ------
    StageError
        No similarity brings the two to overlap.
    """
    # The pose looks at white matter, too: that of the labels, in every arm.
    pose = pose or pose_in(lobules, head)
    return make_scene(of_arm(lobules, arm, seed), head, pose=pose, filled=arm == "filled")


def blind_arbor(lobules: Lobules, share: float, seed: int = 1) -> NDArray[np.bool_]:
    """White matter where tissue is deeper below fluid than the cortex is thick, whatever it is called.

    The thickness varies smoothly at random; its mean is such that a share of the lobules becomes white.

    Parameters
    ----------
    lobules : Lobules
    share : float
        Part of the lobules' voxels that becomes white.
    seed : int

    Returns
    -------
    white : (X, Y, Z) bool
        With the core.
    """
    dseg, grid = lobules.dseg, lobules.grid
    core = np.isin(dseg, WHITE_MATTER)
    lobule = (dseg > 0) & ~core
    depth_mm = ndimage.distance_transform_edt(dseg > 0, sampling=grid.voxel_sizes_mm).astype(np.float32)
    drawn = _smooth_noise(dseg.shape, _THICKNESS_MM / grid.voxel_sizes_mm, np.random.default_rng(seed))
    # Depth in cortical thicknesses: what is deepest by this measure becomes white.
    relative = depth_mm[lobule] * np.exp(-_THICKNESS_SPREAD * drawn[lobule])
    white = core.copy()
    white[lobule] = relative > np.quantile(relative, 1 - share)
    return white


def _smooth_noise(shape: tuple[int, ...], length: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise of mean 0 and deviation 1 that changes over a length in voxels, drawn on a coarse grid."""
    coarse = [max(4, int(np.ceil(size / step)) + 3) for size, step in zip(shape, length, strict=True)]
    places = [np.arange(size) / step + 1 for size, step in zip(shape, length, strict=True)]
    found = rng.standard_normal(coarse).astype(np.float32)
    for axis, place in enumerate(places):
        low = np.floor(place).astype(int)
        part = (place - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
        below, above = np.take(found, low, axis), np.take(found, low + 1, axis)
        # Weights whose squares add up to 1 keep the deviation.
        angle = part * np.float32(np.pi / 2)
        found = below * np.cos(angle) + above * np.sin(angle)
    return found
