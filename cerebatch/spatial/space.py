"""Frames and grids.

Two frames occur: *native*, the scanner millimetres of a scan's header, and *MNI*, the millimetres of
the MNI152NLin2009aSym template. Both are RAS+ (x to the right, y to the front, z up). A 4x4 matrix
named ``mni_from_native`` takes native points to MNI points. Voxel indices address voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.errors import InstallationError

try:
    from cerebatch import _kernels
except ImportError as error:
    raise InstallationError(
        f"the compiled kernels: expected beside {__file__}, found none. If that is a source tree, run `make install` "
        "and use the Python of .venv."
    ) from error

Affine = NDArray[np.float64]
Volume = NDArray[np.float32]
LabelMap = NDArray[np.uint8]
Field = NDArray[np.float32]
"""Displacements (X, Y, Z, 3) in voxels."""

TEMPLATE_SPACE = "MNI152NLin2009aSym"
"""BIDS name of the template that nilearn carries."""

BOX_MM = ((-72.0, 72.0), (-106.0, -10.0), (-84.0, 12.0))
"""Outer faces of the cerebellum box in MNI millimetres (x, y, z).

The limits of the cerebella of 16 label maps brought to MNI and 5 mm more (section 3.8), widened until it is
symmetric about x = 0 and every side divides by 16 voxels at 0.5 mm: the networks' coarsest level fits, and
one 0.5 mm box holds exactly eight interleaved 1 mm boxes.
"""

RESOLUTIONS = {"1.0": "1", "0.5": "0p5", "4.0": "4"}
"""Resolution in millimetres -> its name in ``res-``. 4 mm is for trials of scale only."""


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels.

    Attributes
    ----------
    shape : (3,) tuple of int
        Voxels along each axis.
    affine : (4, 4) float
        Voxel indices -> millimetres of the grid's frame.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @classmethod
    def of(cls, image: nib.spatialimages.SpatialImage) -> Grid:
        """Grid of a three-dimensional nibabel image, in its native frame."""
        x, y, z = image.shape[:3]
        return cls((x, y, z), np.asarray(image.affine, dtype=np.float64))

    @cached_property
    def voxel_sizes_mm(self) -> NDArray[np.float64]:
        """Edge lengths of a voxel along the three axes."""
        return np.asarray(nib.affines.voxel_sizes(self.affine), dtype=np.float64)

    @cached_property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def corners_mm(self) -> NDArray[np.float64]:
        """The eight outer corners of the grid in millimetres, shape (8, 3)."""
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in self.shape], indexing="ij"))
        return apply(self.affine, corners.reshape(3, 8).T)

    def cropped_around(self, points_mm: NDArray[np.float64], margin_mm: float = 0.0) -> tuple[slice, slice, slice]:
        """Slices of the smallest block that holds the points, clipped to the grid.

        Parameters
        ----------
        points_mm : (N, 3) float
            Points in the grid's frame.
        margin_mm : float
            Added on every side.
        """
        index = apply(inverse(self.affine), points_mm)
        margin = margin_mm / self.voxel_sizes_mm
        low = np.floor(index.min(axis=0) - margin).astype(int)
        high = np.ceil(index.max(axis=0) + margin).astype(int) + 1
        x, y, z = (
            slice(int(np.clip(a, 0, n)), int(np.clip(b, 0, n))) for a, b, n in zip(low, high, self.shape, strict=True)
        )
        return x, y, z

    def holds(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points (N, 3) of the grid's frame lie inside one of its voxels, shape (N,)."""
        index = apply(inverse(self.affine), points_mm)
        return np.asarray(np.all((index >= -0.5) & (index <= np.array(self.shape) - 0.5), axis=1))

    def block(self, slices: tuple[slice, slice, slice]) -> Grid:
        """The grid of ``array[slices]``."""
        start = np.eye(4)
        start[:3, 3] = [s.start for s in slices]
        x, y, z = (s.stop - s.start for s in slices)
        return Grid((x, y, z), self.affine @ start)


def inverse(affine: Affine) -> Affine:
    """Inverse of a 4x4 affine."""
    return np.asarray(np.linalg.inv(affine), dtype=np.float64)


def apply(affine: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points (N, 3) by a 4x4 affine."""
    return points @ affine[:3, :3].T + affine[:3, 3]


def cerebellum_box(resolution: float) -> Grid:
    """The cerebellum box as a grid in the MNI frame.

    Parameters
    ----------
    resolution : float
        Edge of a voxel in millimetres: 1.0, 0.5, or 4.0 for trials of scale.
    """
    low = np.array([side[0] for side in BOX_MM])
    x, y, z = (round((side[1] - side[0]) / resolution) for side in BOX_MM)
    affine = np.diag([resolution, resolution, resolution, 1.0])
    affine[:3, 3] = low + resolution / 2
    return Grid((x, y, z), affine)


def resample(image: NDArray[np.floating], source: Grid, target: Grid, source_from_target: Affine, order: int) -> Volume:
    """Sample an image on another grid.

    Parameters
    ----------
    image : (X, Y, Z) float
        Values on `source`.
    source, target : Grid
    source_from_target : (4, 4) float
        Maps millimetres of the target's frame to millimetres of the source's frame.
    order : int
        Order of the B-spline: 1 is linear, 3 cubic. Outside the image the value is 0.
    """
    matrix = inverse(source.affine) @ source_from_target @ target.affine
    sampled: Volume = ndimage.affine_transform(
        image.astype(np.float32, copy=False), matrix[:3, :3], matrix[:3, 3], target.shape, np.float32, order,
        mode="grid-constant",
    )  # fmt: skip
    return sampled


def resample_labels(
    dseg: LabelMap, source: Grid, target: Grid, source_from_target: Affine, threads: int = 1
) -> LabelMap:
    """Label map on another grid: the label with the largest share of linearly resampled one-hot maps.

    Ties go to the smaller code; outside the map is background. Nearest neighbour would lose thin
    structures such as I-II.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Codes on `source`.
    source, target : Grid
    source_from_target : (4, 4) float
        Maps millimetres of the target's frame to millimetres of the source's frame.
    threads : int
        OpenMP threads; the result does not depend on it.
    """
    matrix = inverse(source.affine) @ source_from_target @ target.affine
    return _kernels.resample_labels(np.ascontiguousarray(dseg), matrix[:3], target.shape, threads)


def warp_labels(dseg: LabelMap, field: Field, threads: int = 1) -> LabelMap:
    """Label map through displacements, by the vote of `resample_labels`: no code is ever invented.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
    field : (X, Y, Z, 3) float32
        In voxels: what lies at ``index + field[index]`` comes to ``index``. Outside the map is background.
    threads : int
        OpenMP threads; the result does not depend on it.
    """
    return _kernels.warp_labels(np.ascontiguousarray(dseg), np.ascontiguousarray(field, dtype=np.float32), threads)


def jacobian(field: Field) -> Volume:
    """Determinant of the derivative of ``index + field[index]``, (X, Y, Z) float32.

    It tells how much of the moving image stands behind a voxel of the fixed one: 0.5 where it was stretched to twice
    its volume, 0 or less where it was folded.

    Parameters
    ----------
    field : (X, Y, Z, 3) float32
        Displacements in voxels.
    """
    derivative = [np.gradient(field[..., axis]) for axis in range(3)]
    (a, b, c), (d, e, f), (g, h, i) = derivative
    a, e, i = a + 1, e + 1, i + 1
    return np.asarray(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g), dtype=np.float32)
