"""From a scene to a scan: finite resolution, texture, bias field and noise.

The point spread function is that of a k-space filled as far as the voxel asks and tapered towards its edge. It is
applied on fine samples along the axes of the scan: no coarser than the lobule map (0.3 mm) where that lies, half a
voxel elsewhere, where the head map has no more to show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.simulation.scenes.scene import Scene
from cerebatch.simulation.scenes.sequences import Signals
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume, apply, inverse, resample, resample_labels

_REACH = 6
"""Voxels after which the point spread function is cut."""

_SLAB = 8
_TEXTURE_MM = 1.2
_ORDER = 3


@dataclass(frozen=True)
class Protocol:
    """How a scan is taken.

    Attributes
    ----------
    voxel_mm : (3,) tuple of float
        Distance of voxel centres.
    slice_mm : float or None
        Thickness of slices along the third axis of a two-dimensional acquisition; None for a 3D one.
    snr : float
        Signal of white matter over the standard deviation of the noise in each channel; infinite without noise.
    bias : float
        Standard deviation of the logarithm of the bias field inside the head.
    texture : float
        Standard deviation of the signal within a tissue, relative to its mean.
    taper : float
        Weight of k-space that is not tapered: 1 none, 0.54 Hamming's window.
    """

    voxel_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    slice_mm: float | None = None
    snr: float = 30.0
    bias: float = 0.12
    texture: float = 0.02
    taper: float = 0.62


def scan(
    scene: Scene,
    grid: Grid,
    head_from_scan: Affine,
    signal: Signals,
    protocol: Protocol,
    texture: Volume,
    seed: np.random.SeedSequence,
) -> Volume:
    """Take a scan.

    Parameters
    ----------
    scene : Scene
    grid : Grid
        Of the scan, in its frame.
    head_from_scan : (4, 4) float
        Millimetres of the scan's frame -> millimetres of the head's frame.
    signal : (materials,) float
        As `sequences.signals` gives them.
    protocol : Protocol
    texture : (X, Y, Z) float32
        On the head's grid, standard deviation 1.
    seed : SeedSequence
        Of bias and noise.

    Returns
    -------
    image : (X, Y, Z) float32
        Magnitudes; white matter about 1.
    """
    bias_seed, noise_seed = seed.spawn(2)
    image = resolved(scene, grid, head_from_scan, signal, protocol)
    if protocol.texture:
        image *= 1 + protocol.texture * resample(texture, scene.head.grid, grid, head_from_scan, order=1)
    if protocol.bias:
        image *= _bias_field(grid.shape, protocol.bias, np.random.default_rng(bias_seed))
    if not np.isfinite(protocol.snr):
        return np.abs(image)
    rng = np.random.default_rng(noise_seed)
    real, imaginary = (rng.standard_normal(grid.shape, np.float32) / np.float32(protocol.snr) for _ in range(2))
    noisy: Volume = np.hypot(image + real, imaginary)
    return noisy


def drawn_texture(grid: Grid, seed: np.random.SeedSequence) -> Volume:
    """A smooth random field that knows nothing of the anatomy, mean 0 and standard deviation 1."""
    field = np.random.default_rng(seed).standard_normal(grid.shape, np.float32)
    field = ndimage.gaussian_filter(field, _TEXTURE_MM / grid.voxel_sizes_mm)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def resolved(scene: Scene, grid: Grid, head_from_scan: Affine, signal: Signals, protocol: Protocol) -> Volume:
    """The scene at the scan's resolution, without texture, bias and noise; arguments as of `scan`."""
    image = _sampled(scene, grid, head_from_scan, signal, protocol, None)
    held = np.argwhere(ndimage.binary_dilation(scene.inset > 0))
    corners = np.array(np.meshgrid(*zip(held.min(axis=0), held.max(axis=0), strict=True), indexing="ij"))
    corners_mm = apply(inverse(head_from_scan) @ scene.grid.affine, corners.reshape(3, 8).T.astype(np.float64))
    block = grid.cropped_around(corners_mm, margin_mm=3 * float(grid.voxel_sizes_mm.max()))
    fine_mm = float(scene.grid.voxel_sizes_mm.min())
    image[block] = _sampled(scene, grid.block(block), head_from_scan, signal, protocol, fine_mm)
    return image


def _sampled(
    scene: Scene, grid: Grid, head_from_scan: Affine, signal: Signals, protocol: Protocol, fine_mm: float | None
) -> Volume:
    """The scene on a grid: with the lobule map on samples of `fine_mm`, or the head alone on half voxels."""
    factors = [2 if fine_mm is None else int(np.ceil(size / fine_mm - 1e-6)) for size in grid.voxel_sizes_mm]
    widths: list[float | None] = [None, None, None]
    if protocol.slice_mm is not None:
        widths[2] = protocol.slice_mm / float(grid.voxel_sizes_mm[2])
    spreads = [
        _spread(n, factor, protocol.taper, width) for n, factor, width in zip(grid.shape, factors, widths, strict=True)
    ]
    fine_from_voxel = np.diag([1 / factor for factor in factors] + [1.0])
    fine_from_voxel[:3, 3] = [0.5 / factor - 0.5 - _REACH for factor in factors]
    x, y, z = ((n + 2 * _REACH) * factor for n, factor in zip(grid.shape, factors, strict=True))
    fine = Grid((x, y, z), grid.affine @ fine_from_voxel)
    table = signal.astype(np.float32)
    slabs = []
    for start in range(0, x, _SLAB * factors[0]):
        slab = fine.block((slice(start, min(start + _SLAB * factors[0], x)), slice(0, y), slice(0, z)))
        values = table[_material(scene, slab, head_from_scan, inset=fine_mm is not None)]
        slabs.append(np.matmul(spreads[1], np.matmul(values, spreads[2].T)))
    stacked = np.concatenate(slabs)
    image: Volume = (spreads[0] @ stacked.reshape(x, -1)).reshape(grid.shape)
    return image


def _material(scene: Scene, grid: Grid, head_from_scan: Affine, *, inset: bool) -> LabelMap:
    """Indices of `MATERIALS` at the points of a grid."""
    head = scene.head
    material = resample_labels(head.material, head.grid, grid, head_from_scan)
    if inset:
        index = inverse(scene.grid.affine) @ head_from_scan @ grid.affine
        shown = ndimage.affine_transform(scene.inset, index[:3, :3], index[:3, 3], grid.shape, np.uint8, order=0)
        material = np.where(shown > 0, shown - np.uint8(1), material)
    return material


def _spread(n: int, factor: int, taper: float, width: float | None) -> Volume:
    """Weights (n, fine) of fine samples in each voxel.

    Along the axes of k-space the transform of a boxcar times a raised cosine, taper sinc(t) + (1 - taper) / 2
    (sinc(t - 1) + sinc(t + 1)), t in voxels; across slices a Gaussian whose full width at half maximum is `width`
    voxels.
    """
    at = (np.arange((n + 2 * _REACH) * factor) + 0.5) / factor - 0.5 - _REACH
    t = at[None, :] - np.arange(n)[:, None]
    if width is None:
        weights = taper * np.sinc(t) + (1 - taper) / 2 * (np.sinc(t - 1) + np.sinc(t + 1))
    else:
        weights = np.exp(-4 * np.log(2) * (t / width) ** 2)
    weights[np.abs(t) > _REACH] = 0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _bias_field(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Volume:
    """exp of a polynomial of order 3, its standard deviation in the largest ellipsoid of the field of view given."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    log: NDArray[np.float32] = np.zeros(shape, dtype=np.float32)
    for i in range(_ORDER + 1):
        for j in range(_ORDER + 1 - i):
            for k in range(_ORDER + 1 - i - j):
                if i + j + k:
                    log += np.float32(rng.normal()) * (axes[0] ** i * axes[1] ** j * axes[2] ** k)
    inside = log[axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2 < 1]
    field: Volume = np.exp((log - inside.mean()) * (strength / inside.std()))
    return field
