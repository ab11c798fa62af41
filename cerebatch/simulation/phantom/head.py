"""The MNI152 template with the phantom's cerebellum in the place of its own.

Everything here is in the MNI frame on the template's 1 mm grid and is made once a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from nilearn import datasets
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.simulation.phantom import cerebellum
from cerebatch.simulation.phantom.cerebellum import Field
from cerebatch.spatial import space

T1_LEVELS = {"csf": 0.27, "gm": 0.66, "wm": 0.88, "bone": 0.06, "marrow": 0.3, "scalp": 0.75}
"""Brightness in T1 relative to the template's own scale (white matter 0.88)."""

T2_LEVELS = {"csf": 1.0, "gm": 0.52, "wm": 0.36, "bone": 0.05, "marrow": 0.25, "scalp": 0.45}
"""Brightness in T2 relative to cerebrospinal fluid."""

FOLIA = {"V": 2, "VI": 3, "Crus I": 4, "Crus II": 3, "VIIB": 2, "VIIIA": 2, "VIIIB": 2, "IX": 2}
"""Leaves of a lobule, each with a sheet of white matter; lobules not named have one."""


FOSSA_MM = ((-63.0, 1.0), (-104.0, -24.0), (-72.0, 10.0))
"""First and one past the last voxel centre of the left half of the posterior fossa, MNI millimetres."""

_OUTSIDE, _FISSURE, _GM, _WM, _PEDUNCLE = range(5)


@dataclass(frozen=True)
class Head:
    """The phantom's head in the MNI frame.

    Attributes
    ----------
    t1w, t2w : (X, Y, Z) float32
        Brightness with skull and scalp, white matter 0.88 in T1, cerebrospinal fluid 1 in T2.
    intracranial : (X, Y, Z) bool
        The template's brain mask, taken for the inside of the skull.
    grid : Grid
    """

    t1w: space.Volume
    t2w: space.Volume
    intracranial: NDArray[np.bool_]
    grid: space.Grid


@cache
def template_head() -> Head:
    """Build the head: template, cerebellum, cerebrospinal fluid around it, skull and scalp."""
    t1_image = datasets.load_mni152_template(resolution=1)
    grid = space.Grid.of(t1_image)
    t1w = np.array(t1_image.dataobj, dtype=np.float32)
    wm = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    gm = np.asarray(datasets.load_mni152_gm_template(resolution=1).dataobj, dtype=np.float32)
    intracranial = np.asarray(datasets.load_mni152_brain_mask(resolution=1).dataobj, dtype=bool)
    t2w = _mixed(T2_LEVELS, gm, wm)

    block, inside, gm, wm = cerebellar_tissue(grid)
    intracranial[block] |= inside > 0.5
    replaced = fossa(*cerebellum.centres_mm(grid.block(block))) | (inside > 0)
    t1w[block] = np.where(replaced, _mixed(T1_LEVELS, gm, wm), t1w[block])
    t2w[block] = np.where(replaced, _mixed(T2_LEVELS, gm, wm), t2w[block])

    depth_mm = ndimage.distance_transform_edt(~intracranial)
    shells = np.digitize(depth_mm, [0.5, 2.5, 4.5, 6.5, 11.5])
    for image, level in ((t1w, T1_LEVELS), (t2w, T2_LEVELS)):
        brightness = np.array([0, level["bone"], level["marrow"], level["bone"], level["scalp"], 0], np.float32)
        image[...] = np.where(intracranial, image, brightness[shells])
    return Head(t1w, t2w, intracranial, grid)


def fossa(x: Field, y: Field, z: Field) -> NDArray[np.bool_]:
    """Where the template's own cerebellum lay: below the tentorium, behind the brainstem.

    Parameters
    ----------
    x, y, z : float, shapes that broadcast
        MNI millimetres.
    """
    back = (y + 58) / 10
    tentorium_z = 7.6 - 4.25 * np.sqrt(np.abs(x) + 1.5) - 0.6 * back - 1.05 * back**2
    # Pons and peduncles are wide, the medulla below them is narrow.
    half_width = 17 + 7 * np.tanh((z + 48) / 4)
    brainstem = (x / half_width) ** 4 + ((y + 24 - 0.42 * (z + 30)) / 13) ** 4 < 1
    return np.asarray((cerebellum.body_field(x, y, z) < 1.4) & (z < tentorium_z) & ~brainstem)


def cerebellar_tissue(
    grid: space.Grid,
) -> tuple[tuple[slice, slice, slice], space.Volume, space.Volume, space.Volume]:
    """Shares of tissue in the posterior fossa.

    Parameters
    ----------
    grid : Grid
        A 1 mm grid without rotation that has a plane at x = 0.

    Returns
    -------
    block : (3,) tuple of slice
        The part of the grid that holds the posterior fossa.
    inside, gm, wm : (X, Y, Z) float32
        Shares of the cerebellum, of grey and of white matter in each voxel of the block, 0 to 1. White
        matter counts the peduncles, which belong to no structure.
    """
    x, y, z = (slice(round(a - o), round(b - o)) for (a, b), o in zip(FOSSA_MM, grid.affine[:3, 3], strict=True))
    half = grid.block((x, y, z))
    # One side at 0.5 mm, mirrored and averaged over 2 x 2 x 2: partial volume as a scanner has it.
    fine = half.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] -= 0.25
    nx, ny, nz = (2 * n for n in half.shape)
    classes = _tissue_classes(space.Grid((nx - 1, ny, nz), fine))
    classes = np.concatenate([classes, classes[::-1]])
    inside = _averaged((classes == _GM) | (classes == _WM) | (classes == _FISSURE))
    gm = _averaged(classes == _GM)
    wm = _averaged((classes == _WM) | (classes == _PEDUNCLE))
    return (slice(x.start, x.start + inside.shape[0]), y, z), inside, gm, wm


def leaves(x: Field, y: Field, z: Field, edge_mm: float) -> tuple[Field, Field, NDArray[np.int64]]:
    """The fan counted in leaves.

    Parameters
    ----------
    x, y, z : float
        Centres of the voxels of a grid as `cerebellum.centres_mm` gives them, MNI millimetres.
    edge_mm : float
        Edge of a voxel.

    Returns
    -------
    leaf : (X, Y, Z) float
        From 0 at the first to the number of leaves at the last; a furrow lies at every whole number.
    slope : (X, Y, Z) float
        Leaves in a millimetre.
    borders : (13,) int
        The whole numbers where a lobule begins or ends.
    """
    folia = [FOLIA.get(name, 1) for name in labels.STRUCTURES[:-1]]
    borders = np.cumsum([0, *folia])
    leaf = np.interp(cerebellum.fan_field(x, y, z), cerebellum.fitted_cuts().fan, borders)
    slope = np.sqrt(sum(np.gradient(leaf, edge_mm, axis=axis) ** 2 for axis in range(3))) + 1e-6
    return leaf, slope, borders


def peduncles(x: Field, y: Field, z: Field) -> NDArray[np.bool_]:
    """Where white matter joins the cerebellum to the brain stem; arguments as of `fossa`."""
    return np.asarray(((np.abs(x) - 17) / 7) ** 2 + ((y + 42) / 14) ** 2 + ((z + 35) / 8) ** 2 < 1)


def _tissue_classes(grid: space.Grid) -> NDArray[np.uint8]:
    """Tissue at the voxel centres of a grid that ends at the midline."""
    x, y, z = cerebellum.centres_mm(grid)
    cuts = cerebellum.fitted_cuts()
    edge = float(grid.voxel_sizes_mm[0])
    inside = cerebellum.outline_field(x, y, z) < cuts.outline
    core = inside & (cerebellum.core_field(x, y, z) < cuts.core)
    from_surface = np.asarray(ndimage.distance_transform_edt(inside, sampling=edge), np.float64)
    from_core = np.asarray(ndimage.distance_transform_edt(~core, sampling=edge), np.float64)

    leaf, slope, borders = leaves(x, y, z, edge)
    furrow = np.abs(leaf - np.rint(leaf))
    sheet = 0.5 - furrow

    # Widths in millimetres; where leaves are thin, a share of the leaf.
    between_lobules = np.isin(np.rint(leaf), borders)
    fissure = between_lobules & (furrow < np.minimum(0.5 * slope, 0.2)) & (from_core > 2)
    fissure |= ~between_lobules & (furrow < np.minimum(0.35 * slope, 0.1)) & (from_surface < 4)
    branch = (sheet < np.minimum(0.5 * slope, 0.12)) & (from_surface > 2.5)

    classes = np.full(grid.shape, _OUTSIDE, np.uint8)
    classes[peduncles(x, y, z)] = _PEDUNCLE
    classes[inside] = _GM
    classes[inside & branch] = _WM
    classes[inside & fissure] = _FISSURE
    classes[core] = _WM
    return classes


def _averaged(mask: NDArray[np.bool_]) -> space.Volume:
    x, y, z = (n // 2 for n in mask.shape)
    return np.asarray(mask.reshape(x, 2, y, 2, z, 2).mean(axis=(1, 3, 5)), dtype=np.float32)


def _mixed(level: dict[str, float], gm: space.Volume, wm: space.Volume) -> space.Volume:
    """Brightness of a mixture; what is neither grey nor white matter is cerebrospinal fluid."""
    csf = np.clip(1 - gm - wm, 0, 1)
    return np.asarray(level["gm"] * gm + level["wm"] * wm + level["csf"] * csf, dtype=np.float32)
