"""The phantom's cerebellum, which needs no data, as an anatomy that can age."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.simulation.anatomy.anatomy import Anatomy
from cerebatch.simulation.phantom import cerebellum
from cerebatch.simulation.phantom.head import leaves
from cerebatch.spatial import space

EDGE_MM = 0.5

OWN_SHARE = 0.06
"""Share of each lobule that is fissure in a young adult."""

FURROW_WIDTH = 0.4
"""Width of the furrows between the leaves of a lobule against that of the fissures between lobules."""

_FURROW_DEPTH_MM = 3.0
_BOTTOM_MM = 2.0
_BRANCH_MM, _BRANCH_LEAVES = 0.5, 0.12
_BRANCH_DEPTH_MM = 2.5
_DEEPEST_MM = 5.0
_MARGIN_MM = 3.0

Field = NDArray[np.float64]


def formula_anatomy() -> Anatomy:
    """The anatomy of `phantom.cerebellum` in the MNI frame.

    The distances to fissures and surface are those of the formulas: a field's distance from its cut over its
    gradient. Fissures end 2 mm above the white matter, furrows 3 mm below the surface.
    """
    left = space.cerebellum_box(EDGE_MM)
    half = left.block((slice(0, left.shape[0] // 2), slice(0, left.shape[1]), slice(0, left.shape[2])))
    x, y, z = cerebellum.centres_mm(half)
    cells = cerebellum.labels_at(x, y, z)
    found = ndimage.find_objects((cells > 0).astype(np.uint8))[0]
    margin = round(_MARGIN_MM / EDGE_MM)
    # The left half with the midline, and room on the other sides.
    slices = (
        slice(found[0].start - margin, half.shape[0]),
        slice(found[1].start - margin, found[1].stop + margin),
        slice(found[2].start - margin, found[2].stop + margin),
    )
    depth_mm, white = _left(half.block(slices), cells[slices])
    cells = cells[slices]
    whole = left.block((slice(slices[0].start, left.shape[0] - slices[0].start), *slices[1:]))
    mirrored = np.concatenate([cells, labels.mirrored(cells[::-1])])
    return Anatomy.of(
        mirrored,
        np.concatenate([white, white[::-1]]),
        np.concatenate([depth_mm, depth_mm[::-1]]).astype(np.float32),
        whole,
        np.array([0.0 if label.lobe == "white_matter" else OWN_SHARE for label in labels.LABELS]),
    )


def _left(grid: space.Grid, cells: space.LabelMap) -> tuple[Field, NDArray[np.bool_]]:
    """Depth and white matter of the left half."""
    x, y, z = cerebellum.centres_mm(grid)
    cuts = cerebellum.fitted_cuts()
    inside = cells > 0
    core = inside & (cells == len(labels.STRUCTURES))
    leaf, slope, borders = leaves(x, y, z, EDGE_MM)
    nearest = np.rint(leaf)
    from_furrow = np.abs(leaf - nearest) / slope
    between_lobules = np.isin(nearest, borders)
    from_surface = _from_surface(x, y, z, inside, cuts.outline)
    from_core = np.asarray(ndimage.distance_transform_edt(~core, sampling=EDGE_MM), np.float64)

    fissure = from_furrow + np.maximum(_BOTTOM_MM - from_core, 0)
    furrow = from_furrow / FURROW_WIDTH + np.maximum(from_surface - _FURROW_DEPTH_MM, 0)
    depth = np.minimum(np.where(between_lobules, fissure, furrow), from_surface)
    # Behind a furrow the next fissure may still be the nearest one.
    below = np.take(borders, np.clip(np.searchsorted(borders, leaf, side="right") - 1, 0, len(borders) - 2))
    above = np.take(borders, np.clip(np.searchsorted(borders, leaf, side="right"), 1, len(borders) - 1))
    to_border = np.minimum(leaf - below, above - leaf) / slope + np.maximum(_BOTTOM_MM - from_core, 0)
    depth = np.minimum(depth, to_border)
    branch = (0.5 - np.abs(leaf - nearest) < np.minimum(_BRANCH_MM * slope, _BRANCH_LEAVES)) & (
        from_surface > _BRANCH_DEPTH_MM
    )
    white = core | (inside & branch)
    return np.where(core, _DEEPEST_MM, np.clip(depth, 0, _DEEPEST_MM)), white


def _from_surface(x: Field, y: Field, z: Field, inside: NDArray[np.bool_], cut: float) -> Field:
    """Distance to the outline and to the brain stem's notch, in millimetres, inside."""
    body = cerebellum.body_field(x, y, z)
    slope = np.sqrt(sum(np.gradient(body, EDGE_MM, axis=axis) ** 2 for axis in range(3))) + 1e-6
    notch = (body < cut) & ~inside
    from_notch = np.asarray(ndimage.distance_transform_edt(~notch, sampling=EDGE_MM), np.float64) - EDGE_MM / 2
    return np.asarray(np.minimum((cut - body) / slope, from_notch))
