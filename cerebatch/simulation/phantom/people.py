"""A person: the phantom's head with a shape, a pose, a size and a scanner, all by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cerebatch import labels
from cerebatch.simulation.phantom import cerebellum
from cerebatch.simulation.phantom.head import T1_LEVELS, template_head
from cerebatch.spatial import space

Points = NDArray[np.float64]

ORIENTATIONS = ("RAS", "LAS", "LPS", "PSR")
"""Axis orders that a scan may come in."""

FULL_BRIGHTNESS = 1000.0
"""Brightness of white matter in T1 and of cerebrospinal fluid in T2, before bias and noise."""


@dataclass(frozen=True)
class Phantom:
    """One made-up person.

    Attributes
    ----------
    t1w : (X, Y, Z) float32
        Scan with bias and noise.
    t2w : (X, Y, Z) float32 or None
        The same head in T2 contrast, where asked for.
    dseg : (X, Y, Z) uint8
        True labels on the grid of the scan.
    grid : Grid
        Of the scan, in the native frame.
    mni_from_native : (4, 4) float
        Affine part of the way into the template; a smooth shape of a few millimetres comes on top.
    volumes_cm3 : dict
        True volume of every label by its code, counted at 1 mm before the scan's voxels came in.
    icv_cm3 : float
        True intracranial volume: the template's brain mask, deformed like the head.
    """

    t1w: space.Volume
    t2w: space.Volume | None
    dseg: space.LabelMap
    grid: space.Grid
    mni_from_native: space.Affine
    volumes_cm3: dict[int, float]
    icv_cm3: float


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a sum of plane sine waves.

    Attributes
    ----------
    vectors : (W, 3) float
        Wave vectors in radians per millimetre.
    phases : (W,) float
        Radians.
    amplitudes : (W, C) float
        Of every wave in each of the C components.
    """

    vectors: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @classmethod
    def drawn(cls, rng: np.random.Generator, *, count: int, length_mm: tuple[float, float], sd: list[float]) -> Waves:
        """Draw waves of any direction with lengths in a range; `sd` is the field's spread in each component."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        vectors = directions * (2 * np.pi / rng.uniform(*length_mm, size=(count, 1)))
        amplitudes = rng.normal(size=(count, len(sd))) * np.array(sd) * np.sqrt(2 / count)
        return cls(vectors, rng.uniform(0, 2 * np.pi, count), amplitudes)

    def at(self, points: Points) -> Points:
        """Values at points (N, 3) in millimetres, shape (N, C)."""
        return np.asarray(np.sin(points @ self.vectors.T + self.phases) @ self.amplitudes)


def person(seed: int, *, resolution_mm: float = 1.0, skull: bool = True, t2: bool = False) -> Phantom:
    """Make a person.

    Parameters
    ----------
    seed : int
        Decides everything. At another resolution, with or without skull, it is the same head in the
        same pose.
    resolution_mm : float
        Edge of the scan's voxels.
    skull : bool
        Skull and scalp around the brain; False gives what brain extraction would leave.
    t2 : bool
        Make a T2-weighted scan as well.
    """
    anatomy, scanner = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    native_from_mni = _drawn_pose(anatomy)
    mni_from_native: space.Affine = space.inverse(native_from_mni)
    shape = Waves.drawn(anatomy, count=8, length_mm=(110, 200), sd=[0.9, 0.9, 0.9])
    bias = Waves.drawn(scanner, count=4, length_mm=(200, 400), sd=[scanner.uniform(0.03, 0.1)])
    orientation = ORIENTATIONS[scanner.integers(len(ORIENTATIONS))]
    contrast = scanner.uniform(0.9, 1.1)
    noise = scanner.uniform(0.02, 0.04) * FULL_BRIGHTNESS

    grid = _scan_grid(native_from_mni, resolution_mm, orientation, margin_mm=16.0 if skull else 5.0)
    gain = np.exp(np.clip(_over(grid, bias.at)[..., 0], -0.2, 0.2))

    where = _over(grid, lambda native: _shaped(space.apply(mni_from_native, native), shape))

    def scanned(ideal: space.Volume) -> space.Volume:
        real, imaginary = scanner.normal(scale=noise, size=(2, *grid.shape))
        scan = np.hypot(FULL_BRIGHTNESS * gain * ideal + real, imaginary)  # Rician noise, as in magnitude images
        if not skull:
            scan[_sampled(template_head().intracranial.astype(np.float32), where) < 0.5] = 0
        return np.asarray(scan, dtype=np.float32)

    t1w, t2w = _template_images(resolution_mm)
    dseg, box = _shaped_labels(shape)
    counts = np.bincount(dseg.ravel(), minlength=labels.N_CLASSES)
    cm3 = float(np.linalg.det(native_from_mni[:3, :3])) / 1000
    return Phantom(
        t1w=scanned((_sampled(t1w, where) / T1_LEVELS["wm"]) ** contrast),
        t2w=scanned(_sampled(t2w, where)) if t2 else None,
        dseg=space.resample_labels(dseg, box, grid, mni_from_native),
        grid=grid,
        mni_from_native=mni_from_native,
        volumes_cm3={label.index: float(counts[label.index]) * cm3 for label in labels.LABELS},
        icv_cm3=_shaped_intracranial_mm3(shape) * cm3,
    )


def _drawn_pose(rng: np.random.Generator) -> space.Affine:
    """Affine from MNI to native: scaled, turned about the three axes, shifted."""
    scales = rng.uniform(0.92, 1.08) * rng.uniform(0.98, 1.02, 3)
    turned = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turned * scales
    affine[:3, 3] = rng.uniform(-15, 15, 3)
    return affine


def _scan_grid(native_from_mni: space.Affine, resolution_mm: float, orientation: str, margin_mm: float) -> space.Grid:
    """Grid around the head, its axes along the scanner's in the order of `orientation`."""
    head = template_head()
    brain = space.apply(head.grid.affine, 4 * np.argwhere(head.intracranial[::4, ::4, ::4]).astype(np.float64))
    brain = space.apply(native_from_mni, brain)
    low, high = brain.min(axis=0) - margin_mm, brain.max(axis=0) + margin_mm
    shape = np.ceil((high - low) / resolution_mm).astype(int)
    affine = np.diag([resolution_mm, resolution_mm, resolution_mm, 1.0])
    affine[:3, 3] = low

    turn = nib.orientations.axcodes2ornt(orientation)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, shape)
    x, y, z = (int(shape[np.flatnonzero(turn[:, 0] == axis)[0]]) for axis in range(3))
    return space.Grid((x, y, z), np.asarray(affine, dtype=np.float64))


@cache
def _template_images(resolution_mm: float) -> tuple[space.Volume, space.Volume]:
    """T1 and T2 of the head, blurred to the voxels of a coarser scan."""
    head = template_head()
    sigma = np.sqrt(max(resolution_mm**2 - 1, 0)) / np.sqrt(8 * np.log(2))
    if sigma == 0:
        return head.t1w, head.t2w
    return ndimage.gaussian_filter(head.t1w, sigma), ndimage.gaussian_filter(head.t2w, sigma)


def _shaped(mni: Points, shape: Waves) -> Points:
    """Points of the template, millimetres, that lie at points (N, 3) of a person's MNI frame."""
    return mni + shape.at(mni)


def _shaped_labels(shape: Waves) -> tuple[space.LabelMap, space.Grid]:
    """A person's labels in the MNI frame at 1 mm, before the pose."""
    box = space.cerebellum_box(1.0)
    where = _over(box, lambda mni: _shaped(mni, shape))
    return cerebellum.labels_at(where[..., 0], where[..., 1], where[..., 2]), box


def _shaped_intracranial_mm3(shape: Waves) -> float:
    """Volume of a person's intracranial space before the pose, counted at 2 mm."""
    head = template_head()
    x, y, z = (n // 2 for n in head.grid.shape)
    grid = space.Grid((x, y, z), head.grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    share = _sampled(head.intracranial.astype(np.float32), _over(grid, lambda mni: _shaped(mni, shape)))
    return float(share.sum(dtype=np.float64)) * grid.voxel_volume_mm3


def _sampled(image: space.Volume, where: Points) -> space.Volume:
    """Image on the template's grid, sampled linearly at points (..., 3) in MNI millimetres."""
    # The template's grid is RAS+ at 1 mm, so that a shift takes millimetres to voxels.
    index = np.moveaxis(where - template_head().grid.affine[:3, 3], -1, 0)
    return np.asarray(ndimage.map_coordinates(image, index, np.float32, order=1))


def _over(grid: space.Grid, function: Callable[[Points], Points]) -> Points:
    """Values (X, Y, Z, C) of a function of points (N, 3) at all voxel centres, a slab at a time."""
    nx, ny, nz = grid.shape
    slab = np.indices((1, ny, nz)).reshape(3, -1).T.astype(np.float64)
    step = np.array([1.0, 0.0, 0.0])
    return np.stack([function(space.apply(grid.affine, slab + i * step)).reshape(ny, nz, -1) for i in range(nx)])
