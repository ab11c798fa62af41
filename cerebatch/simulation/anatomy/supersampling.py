"""A person's cerebellum sampled finer than the scan: the truth, and the shares of tissue that the scan averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.simulation.anatomy import control_grid
from cerebatch.simulation.anatomy.change import Change
from cerebatch.simulation.phantom.people import Waves
from cerebatch.spatial import space
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume

FINE_MM = 1.0
"""Samples are no further apart, and there are at least two along each edge of a voxel."""

_MOST_POINTS = 4_000_000
_ROOM_MM = 3.0

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """What is found in a block of a scan.

    Attributes
    ----------
    lobules : (x, y, z) uint8
        Codes on `grid`, an arbor vitae with its lobule.
    is_white : (x, y, z) bool
    grid : Grid
        Voxels of the scan divided into equal parts, cropped around the labels; the scan's frame.
    grey, white : (X, Y, Z) float32
        Shares of the voxels of the block that are tissue of the cerebellum.
    """

    lobules: LabelMap
    is_white: NDArray[np.bool_]
    grid: Grid
    grey: Volume
    white: Volume


def sampled(change: Change, block: Grid, frame_from_scan: Affine, shape: Waves) -> Cut:
    """Sample a changed anatomy.

    Parameters
    ----------
    change : Change
    block : Grid
        Of the scan, with all of the cerebellum inside.
    frame_from_scan : (4, 4) float
        Millimetres of the scan -> millimetres of the anatomy.
    shape : Waves
        Further displacement in millimetres at points of the anatomy's frame.
    """
    factors = parts(block)
    fine = divided(block, factors)
    anatomy_from_frame = space.inverse(change.anatomy.grid.affine)

    def place(frame_mm: Points) -> Points:
        index = space.apply(anatomy_from_frame, frame_mm + shape.at(frame_mm))
        return index + change.displacement(index)

    x, y, z = (max(1, round(change.anatomy.flow_step * change.anatomy.grid.voxel_sizes_mm[0] / size))
               for size in fine.voxel_sizes_mm)  # fmt: skip
    thick = factors[0] * max(1, _MOST_POINTS // (fine.shape[1] * fine.shape[2] * factors[0]))
    pieces = []
    for start in range(0, fine.shape[0], thick):
        slab = fine.block(
            (slice(start, min(start + thick, fine.shape[0])), slice(0, fine.shape[1]), slice(0, fine.shape[2]))
        )
        pieces.append(change.look_up(control_grid.over(slab.shape, frame_from_scan @ slab.affine, place, (x, y, z))))
    lobules = np.concatenate([codes for codes, _ in pieces])
    white = np.concatenate([mask for _, mask in pieces])
    crop = _around(lobules > 0, fine)
    return Cut(
        np.ascontiguousarray(lobules[crop]),
        white[crop],
        fine.block(crop),
        _share((lobules > 0) & ~white, factors),
        _share(white, factors),
    )


def parts(block: Grid) -> tuple[int, int, int]:
    """How many samples there are along each edge of a voxel."""
    x, y, z = (max(2, int(np.ceil(size / FINE_MM - 1e-6))) for size in block.voxel_sizes_mm)
    return x, y, z


def divided(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """The grid whose voxels are equal parts of another's."""
    affine = np.diag([*(1 / np.array(factors)), 1.0])
    affine[:3, 3] = 0.5 / np.array(factors) - 0.5
    x, y, z = (n * factor for n, factor in zip(grid.shape, factors, strict=True))
    return Grid((x, y, z), grid.affine @ affine)


def _around(mask: NDArray[np.bool_], grid: Grid) -> tuple[slice, slice, slice]:
    """A block around a mask with some room."""
    found = []
    for axis in range(3):
        other = tuple(k for k in range(3) if k != axis)
        held = np.flatnonzero(mask.any(axis=other))
        room = round(_ROOM_MM / float(grid.voxel_sizes_mm[axis]))
        found.append(slice(max(0, int(held[0]) - room), min(mask.shape[axis], int(held[-1]) + 1 + room)))
    x, y, z = found
    return x, y, z


def _share(mask: NDArray[np.bool_], factors: tuple[int, int, int]) -> Volume:
    (x, a), (y, b), (z, c) = ((n // factor, factor) for n, factor in zip(mask.shape, factors, strict=True))
    counts = mask.reshape(x, a, y, b, z, c).sum(axis=(1, 3, 5), dtype=np.uint16)
    return np.asarray(counts / np.float32(a * b * c), dtype=np.float32)
