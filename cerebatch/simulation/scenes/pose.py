"""Where a lobule map comes to lie in a head: a rigid motion and one scale factor, nothing else.

The map keeps its own shape. Its halves and its white matter are brought to overlap those of the cerebellum that
the head had, and it is kept off the brain stem and inside the skull as far as its shape allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from cerebatch.errors import StageError
from cerebatch.spatial.align import fit_similarity
from cerebatch.spatial.space import Affine, Grid, Volume, apply, inverse

_SMOOTHING_MM = 1.5
_STEP_MM = 2.0
_WHITE_WEIGHT = 0.5
_FORBIDDEN_WEIGHT = 1.0
_PITCHES_DEGREES = (0.0, -20.0, 20.0)
"""The centres of halves and white matter tell the pitch least well; the search begins at each of these."""

_LEAST_DICE = 0.7
_GREATEST_TURN_DEGREES = 60.0

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """A cerebellum as the pose sees it.

    Attributes
    ----------
    left, right : (X, Y, Z) bool
        The halves with their fissures closed.
    white : (X, Y, Z) bool
        White matter of both.
    grid : Grid
    """

    left: NDArray[np.bool_]
    right: NDArray[np.bool_]
    white: NDArray[np.bool_]
    grid: Grid

    @property
    def parts(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Left half, right half, white matter."""
        return self.left, self.right, self.white


@dataclass(frozen=True)
class Pose:
    """A similarity and how well it fits.

    Attributes
    ----------
    head_from_map : (4, 4) float
        Millimetres of the map's frame -> millimetres of the head's frame; a rotation times `scale`, and a shift.
    scale : float
    dice : float
        Soft Dice of left and right half with the head's own cerebellum, the mean of both.
    """

    head_from_map: Affine
    scale: float
    dice: float


def find_pose(lobules: Shape, head: Shape, forbidden: NDArray[np.bool_], name: str) -> Pose:
    """The similarity that brings a lobule map to lie in a head.

    Maximises the soft Dice of the halves and of the white matter less the share of the map in forbidden places
    (Powell's method, from the similarity of the parts' centres turned by several pitches).

    Parameters
    ----------
    lobules : Shape
        The map, in its own frame.
    head : Shape
        The cerebellum that the head had.
    forbidden : (X, Y, Z) bool
        Brain stem and everything outside the skull, on the head's grid.
    name : str
        Of the pair, for the error.

    Raises
    ------
    StageError
        No similarity brings the two to overlap.
    """
    sources = [_points(part, lobules.grid, _STEP_MM) for part in lobules.parts]
    targets = _Targets.of(head, forbidden)
    volumes_mm3 = [float(np.count_nonzero(part) * lobules.grid.voxel_volume_mm3) for part in lobules.parts]
    centres = np.array([points.mean(axis=0) for points in sources])
    scale = float((targets.volumes_mm3[:2].sum() / sum(volumes_mm3[:2])) ** (1 / 3))
    start = fit_similarity(centres, targets.centres, scale)
    pivot = centres[:2].mean(axis=0)

    def overlap(parameters: Points) -> tuple[NDArray[np.float64], float]:
        affine = _moved(start, pivot, parameters)
        return targets.overlap(sources, volumes_mm3, affine, scale * float(np.exp(parameters[6])))

    def cost(parameters: Points) -> float:
        dice, bad = overlap(parameters)
        weights = np.array([1.0, 1.0, _WHITE_WEIGHT])
        return float(_FORBIDDEN_WEIGHT * bad - dice @ weights / weights.sum())

    found = []
    for pitch in _PITCHES_DEGREES:
        begin = np.zeros(7)
        begin[0] = np.radians(pitch)
        bounds = [(-0.9, 0.9)] * 3 + [(-2.0, 2.0)] * 3 + [(-0.15, 0.15)]
        found.append(
            optimize.minimize(cost, begin, method="Powell", bounds=bounds, options={"xtol": 1e-3, "ftol": 1e-5})
        )
    best = min(found, key=lambda result: float(result.fun)).x
    dice = float(overlap(best)[0][:2].mean())
    head_from_map = _moved(start, pivot, best)
    turn = np.degrees(Rotation.from_matrix(head_from_map[:3, :3] / np.cbrt(np.linalg.det(head_from_map))).magnitude())
    if dice < _LEAST_DICE or turn > _GREATEST_TURN_DEGREES:
        raise StageError(
            f"{name}: expected a similarity that brings the lobule map to overlap the head's cerebellum with a Dice of "
            f"{_LEAST_DICE} or more and a turn of {_GREATEST_TURN_DEGREES:.0f} degrees or less, found {dice:.2f} and "
            f"{turn:.0f}. Check that left is left and up is up in both headers, or leave the pair out."
        )
    return Pose(head_from_map, scale * float(np.exp(best[6])), dice)


@dataclass(frozen=True)
class _Targets:
    """The head's parts, smoothed, where points can be looked up."""

    channels: tuple[Volume, ...]
    forbidden: Volume
    grid: Grid
    volumes_mm3: NDArray[np.float64]
    centres: Points

    @classmethod
    def of(cls, head: Shape, forbidden: NDArray[np.bool_]) -> _Targets:
        whole = head.left | head.right
        slices = head.grid.cropped_around(_points(whole, head.grid), margin_mm=25.0)
        grid = head.grid.block(slices)
        parts = [part[slices] for part in head.parts]
        sigma = _SMOOTHING_MM / grid.voxel_sizes_mm
        smooth = [ndimage.gaussian_filter(part.astype(np.float32), sigma) for part in parts]
        return cls(
            tuple(smooth),
            ndimage.gaussian_filter(forbidden[slices].astype(np.float32), sigma),
            grid,
            np.array([part.sum() for part in parts]) * grid.voxel_volume_mm3,
            np.array([_points(part, grid).mean(axis=0) for part in parts]),
        )

    def overlap(
        self, sources: list[Points], volumes_mm3: list[float], head_from_map: Affine, scale: float
    ) -> tuple[NDArray[np.float64], float]:
        """Soft Dice of each part, and the share of the halves that lies in forbidden places."""
        index_from_map = inverse(self.grid.affine) @ head_from_map
        at = [apply(index_from_map, points).T for points in sources]
        dice = np.zeros(len(at))
        for k, (channel, index) in enumerate(zip(self.channels, at, strict=True)):
            share = ndimage.map_coordinates(channel, index, order=1).mean()
            size_mm3 = volumes_mm3[k] * scale**3
            dice[k] = 2 * share * size_mm3 / (size_mm3 + self.volumes_mm3[k])
        halves = np.concatenate(at[:2], axis=1)
        return dice, float(ndimage.map_coordinates(self.forbidden, halves, order=1, cval=1.0).mean())


def _moved(start: Affine, pivot: Points, parameters: Points) -> Affine:
    """The start turned by a rotation vector (radians), shifted (cm) and scaled (logarithm) about the pivot."""
    there = apply(start, pivot[None])[0]
    change = np.eye(4)
    change[:3, :3] = np.exp(parameters[6]) * Rotation.from_rotvec(parameters[:3]).as_matrix()
    change[:3, 3] = there + 10.0 * parameters[3:6] - change[:3, :3] @ there
    return np.asarray(change @ start, dtype=np.float64)


def _points(mask: NDArray[np.bool_], grid: Grid, step_mm: float = 0.0) -> Points:
    """Millimetres of a mask's voxels, no denser than the step."""
    strides = [max(1, round(step_mm / size)) for size in grid.voxel_sizes_mm]
    index = np.argwhere(mask[:: strides[0], :: strides[1], :: strides[2]]) * strides
    return apply(grid.affine, index.astype(np.float64))
