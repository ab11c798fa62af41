"""One labelled case from a lobule map in a head: labels and tissues, made fine and then brought to the grid.

The lobule map brings its own tissue: its fissures are CSF, its lobules grey matter around the arbor vitae. The
head gives position, outline and surroundings. Both meet on voxels of 0.25 mm (`blocks.fine_mm`); partial
volume comes from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.building.arbor import white_apart
from cerebatch.building.fit import Fit, LobuleMap
from cerebatch.building.head import Head
from cerebatch.building.suit import close_fissures
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.blocks import fine_mm, majority, shares
from cerebatch.spatial.space import Affine, Grid, LabelMap, apply, cerebellum_box, inverse, resample_labels

_CSF, _GM, _WM = (np.uint8(TISSUES.index(name)) for name in ("CSF", "GM", "WM"))
_SLAB_MM = 8


@dataclass(frozen=True)
class Composed:
    """A case on the cerebellum box.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes, the arbor vitae counted as white matter.
    lobules : (X, Y, Z) uint8
        The same, the arbor vitae counted with its lobule, as in the maps.
    tissue : (T, X, Y, Z) uint8
        Share of each of `TISSUES` in 1/255.
    """

    dseg: LabelMap
    lobules: LabelMap
    tissue: NDArray[np.uint8]


def compose(lobules: LobuleMap, head: Head, fit: Fit, resolution: float, threads: int = 1) -> Composed:
    """Labels and tissues of a lobule map in a head.

    Parameters
    ----------
    lobules : LobuleMap
    head : Head
    fit : Fit
        Of the one in the other.
    resolution : float
        Voxel edge of the box in millimetres.
    threads : int
        Of the head's resampling.
    """
    edge = fine_mm(resolution)
    factor = round(resolution / edge)
    box = cerebellum_box(edge)
    filled = _filled(lobules, fit)
    covered = box.cropped_around(apply(fit.grid.affine, np.argwhere(filled).astype(np.float64)), margin_mm=1.0)
    thickness = round(max(_SLAB_MM, resolution) / edge)
    slabs = []
    for start in range(0, box.shape[0], thickness):
        stop = min(start + thickness, box.shape[0])
        slab = box.block((slice(start, stop), slice(0, box.shape[1]), slice(0, box.shape[2])))
        tissue = resample_labels(head.surroundings, head.grid, slab, inverse(head.mni_from_head), threads)
        parents, white = np.zeros(slab.shape, dtype=np.uint8), np.zeros(slab.shape, dtype=bool)
        inner = slice(max(covered[0].start, start), min(covered[0].stop, stop))
        if inner.start < inner.stop:
            here = (slice(inner.start - start, inner.stop - start), *covered[1:])
            parents[here], white[here] = _sampled(lobules, fit, box.block((inner, *covered[1:])))
            fissure = resample_labels(filled, fit.grid, slab, np.eye(4), threads) > 0
            tissue[fissure & (tissue != _WM)] = _CSF
            tissue[parents > 0] = np.where(white[parents > 0], _WM, _GM)
        dseg = white_apart(parents, white)
        slabs.append((majority(dseg, factor), majority(parents, factor), shares(tissue, factor, len(TISSUES))))
    dsegs, parts, tissues = zip(*slabs, strict=True)
    return Composed(np.concatenate(dsegs), np.concatenate(parts), np.concatenate(tissues, axis=1))


def _filled(lobules: LobuleMap, fit: Fit) -> LabelMap:
    """1 where the map in its place covers, its fissures closed; on the grid of the fit."""
    covered, _ = _sampled(lobules, fit, fit.grid)
    return (close_fissures(covered, fit.grid) > 0).astype(np.uint8)


def _sampled(lobules: LobuleMap, fit: Fit, target: Grid) -> tuple[LabelMap, NDArray[np.bool_]]:
    """The map in its place on another grid of the MNI frame, nearest neighbour: codes, and what is white."""
    index = np.indices(target.shape, dtype=np.float32).reshape(3, -1)
    at = _mapped(inverse(fit.grid.affine) @ target.affine, index)
    at += np.stack([ndimage.map_coordinates(fit.field[..., c], at, order=1, mode="nearest") for c in range(3)])
    there = _mapped(inverse(lobules.grid.affine) @ fit.map_from_mni @ fit.grid.affine, at)
    parents: LabelMap = ndimage.map_coordinates(lobules.dseg, there, order=0).reshape(target.shape)
    white = ndimage.map_coordinates(lobules.white.view(np.uint8), there, order=0).reshape(target.shape)
    return parents, white > 0


def _mapped(affine: Affine, index: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns of voxel indices (3, N) mapped by a 4x4 affine."""
    return affine[:3, :3].astype(np.float32) @ index + affine[:3, 3:].astype(np.float32)
