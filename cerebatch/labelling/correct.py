"""First labels of a real scan, corrected by what its images show (section 2.1).

Labels made at 1 mm give the lobules the fluid in narrow fissures and the thin twigs of the arbor vitae. Both are seen
in the images. And a label of white matter runs on into the peduncles, which are no part of the cerebellum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.building.arbor import white_apart
from cerebatch.intensity.tissue import TARGETS, Contrast
from cerebatch.labels import WHITE_MATTER
from cerebatch.measures.morphology import closed
from cerebatch.spatial.space import Grid, LabelMap, Volume

PEDUNCLE_MM = 8.0
"""White matter outside the lobules, closed by a ball of this radius, is a peduncle."""

_LEAST_VOXELS = 50
_TISSUES = ("csf", "gm", "wm")


@dataclass(frozen=True)
class Corrected:
    """Labels after the correction.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes, the arbor vitae counted as white matter.
    lobules : (X, Y, Z) uint8
        The same, the arbor vitae counted with its lobule.
    fluid, white, peduncle : int
        Voxels of lobules that became background, or white matter; voxels of white matter that became background.
    """

    dseg: LabelMap
    lobules: LabelMap
    fluid: int
    white: int
    peduncle: int


def corrected(lobules: LabelMap, dseg: LabelMap, images: dict[Contrast, Volume], grid: Grid) -> Corrected:
    """Take fluid out, white matter in, and the peduncles off.

    Parameters
    ----------
    lobules, dseg : (X, Y, Z) uint8
        Cerebatch codes with the white matter of the folia in their lobules, and apart; the same map twice where only
        one is known.
    images : dict
        Contrast -> (X, Y, Z) float32, prepared.
    grid : Grid
    """
    lobule = (lobules > 0) & ~np.isin(lobules, WHITE_MATTER)
    tissue = tissue_of(images, lobule & (dseg == lobules), np.isin(dseg, WHITE_MATTER))
    fluid = lobule & (dseg == lobules) & (tissue == _TISSUES.index("csf"))
    core = np.isin(dseg, WHITE_MATTER) & (tissue != _TISSUES.index("csf"))
    seen = lobule & (tissue == _TISSUES.index("wm"))
    white = _reached(core, seen)
    peduncle = np.isin(lobules, WHITE_MATTER) & ~closed(lobule & ~fluid, grid, PEDUNCLE_MM)
    kept = np.where(fluid | peduncle, np.uint8(0), lobules)
    return Corrected(
        dseg=white_apart(kept, (white | np.isin(dseg, WHITE_MATTER)) & (kept > 0)),
        lobules=kept,
        fluid=int(fluid.sum()),
        white=int((white & ~np.isin(dseg, WHITE_MATTER)).sum()),
        peduncle=int(peduncle.sum()),
    )


def tissue_of(images: dict[Contrast, Volume], grey: NDArray[np.bool_], white: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The tissue that each voxel's intensities are most coherent with, from all contrasts together.

    The means of grey and white matter are those of the labels as they are, that of fluid is the target of the
    normalisation; the common spread is that of the grey matter (linear discriminant with equal priors).

    Parameters
    ----------
    images : dict
        Contrast -> (X, Y, Z) float32, prepared.
    grey, white : (X, Y, Z) bool
        Voxels labelled so; most of them rightly.

    Returns
    -------
    tissue : (X, Y, Z) uint8
        0 fluid, 1 grey matter, 2 white matter.
    """
    seen = np.stack([images[contrast] for contrast in images]).reshape(len(images), -1)
    targets = np.array([[getattr(TARGETS[contrast], name) for contrast in images] for name in _TISSUES])
    means = targets.astype(np.float64)
    for row, mask in ((1, grey), (2, white)):
        if np.count_nonzero(mask) >= _LEAST_VOXELS:
            means[row] = np.median(seen[:, mask.ravel()], axis=1)
    # Half the way to the next tissue bounds what counts as grey: what was given to it wrongly is not its spread.
    reach = np.abs(means[1] - means[2])[:, None] / 2
    own = seen[:, grey.ravel()]
    own = own[:, (np.abs(own - means[1][:, None]) < reach).all(axis=0)]
    spread = np.cov(own) if own.shape[1] >= _LEAST_VOXELS else np.eye(len(images))
    weight = np.linalg.inv(np.atleast_2d(spread) + 1e-6 * np.eye(len(images)))
    # With one spread for all, the squared distances differ in a linear function of the intensities.
    scores = means @ weight @ seen - 0.5 * np.einsum("ki,ij,kj->k", means, weight, means)[:, None]
    nearest: NDArray[np.uint8] = np.argmax(scores, axis=0).astype(np.uint8).reshape(grey.shape)
    return nearest


def _reached(core: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels that a way through others leads to from the core, corners included."""
    pieces, _ = ndimage.label(core | seen, structure=np.ones((3, 3, 3)))
    rooted = np.unique(pieces[core])
    return np.isin(pieces, rooted[rooted > 0]) & seen
