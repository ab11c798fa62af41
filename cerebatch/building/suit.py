"""The SUIT parcellation (Diedrichsen et al. 2009, NeuroImage 46:39-46), go-between of lobule maps and template.

It comes with the T1w of its template, which can be registered to ours, and it draws most of what the maps'
protocol (Park et al. 2014, NeuroImage 95:217-231) draws. Both are merged here into the structures that they
share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.errors import LabelMapError, RegistrationError
from cerebatch.measures.morphology import closed
from cerebatch.spatial import ants_bridge, space, template

SUIT_CODES: dict[str, tuple[int, ...]] = {
    "I-IV": (1, 2),
    "V": (3, 4),
    "VI": (5, 6, 7),
    "Crus I": (8, 9, 10),
    "Crus II": (11, 12, 13),
    "VIIB": (14, 15, 16),
    "VIIIA": (17, 18, 19),
    "VIIIB": (20, 21, 22),
    "IX": (23, 24, 25),
    "X": (26, 27, 28),
}
"""Structures that both protocols draw -> SUIT codes: left, vermis where it is a part of its own, right."""

SUIT_NUCLEI = range(29, 35)
"""SUIT codes of the deep nuclei, which the lobule maps count as white matter."""

SHARED: tuple[str, ...] = tuple(f"{side} {name}" for side in ("left", "right") for name in SUIT_CODES)
"""The structures that both protocols have, side by side; their codes here are 1 to 20."""

WHITE_MATTER = len(SHARED) + 1
"""Code of everything that belongs to the cerebellum and to no shared structure."""

FISSURE_MM = 2.0
"""Fissures up to twice this width are open in the lobule maps and closed in SUIT."""


def require_suit(path: Path, codes: NDArray[np.integer]) -> None:
    """Refuse another parcellation than SUIT.

    Parameters
    ----------
    path : Path
        Named in the error.
    codes : (X, Y, Z) integer

    Raises
    ------
    LabelMapError
        A lobule is missing, or a code is none of SUIT's.
    """
    lobules = {code for codes_of_one in SUIT_CODES.values() for code in codes_of_one}
    found = {int(code) for code in np.unique(codes)} - {0}
    missing, unknown = sorted(lobules - found), sorted(found - lobules - set(SUIT_NUCLEI))
    if missing or unknown:
        raise LabelMapError(
            path,
            expected="SUIT codes 1 to 28, and 29 to 34 for the nuclei",
            found=f"missing {missing}, unknown {unknown[:10]}",
            do="Give the parcellation of DiedrichsenLab/cerebellar_atlases in MNI152NLin6Asym space.",
        )


def register_suit(t1w: space.Volume, t1w_grid: space.Grid, suit: space.LabelMap, suit_grid: space.Grid) -> space.Affine:
    """Affine from MNI152NLin2009aSym to the space of the SUIT parcellation, MNI152NLin6Asym.

    The moving image ends at the cerebellum and the brain stem. Seen beyond them, the occipital lobe of
    the fixed image would pull the affine: the metric is confined to the parcellation itself, which lies
    within a few millimetres of its place from the start.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        T1-weighted cerebellum of MNI152NLin6Asym on `t1w_grid`.
    t1w_grid, suit_grid : Grid
        Frame: MNI152NLin6Asym.
    suit : (X, Y, Z) uint8
        Parcellation on `suit_grid`.

    Returns
    -------
    suit_from_mni : (4, 4) float

    Raises
    ------
    RegistrationError
        The affine is further from the identity than the two templates are.
    """
    ants_bridge.use_one_thread()
    corners_mm = space.cerebellum_box(1.0).corners_mm()
    fixed, whole = template.t1w(1)
    slices = whole.cropped_around(corners_mm)
    grid = whole.block(slices)
    mask = close_fissures(space.resample_labels(suit, suit_grid, grid, np.eye(4)), grid) > 0
    suit_from_mni = ants_bridge.register(
        fixed[slices],
        grid,
        mask,
        t1w,
        t1w_grid,
        np.eye(4),
        ants_bridge.Schedule("Affine", iterations=(200, 100), shrink=(4, 2), smoothing=(2, 1)),
        seed=1,
    )
    moved_mm = float(np.linalg.norm(space.apply(suit_from_mni, corners_mm) - corners_mm, axis=1).max())
    if not moved_mm < 25:
        raise RegistrationError(
            f"The SUIT template was registered to {space.TEMPLATE_SPACE} with a shift of {moved_mm:.0f} mm at the "
            "corners of the cerebellum box, expected less than 25 mm. Check that its T1w is in MNI152NLin6Asym space."
        )
    return suit_from_mni


def merge_suit(suit: space.LabelMap, grid: space.Grid) -> space.LabelMap:
    """SUIT codes -> codes of `SHARED`; the nuclei become `WHITE_MATTER`.

    Each vermis part is split at x = 0 and goes to the lobule of its side, as in the maps' protocol,
    which draws no vermis.

    Parameters
    ----------
    suit : (X, Y, Z) uint8
        SUIT codes on `grid`.
    grid : Grid
        Frame: MNI; its axes run along x, y and z.
    """
    left, right = np.zeros((2, 256), dtype=np.uint8)
    for number, codes in enumerate(SUIT_CODES.values(), start=1):
        left[list(codes)] = number
        right[list(codes)] = number + len(SUIT_CODES)
        right[codes[0]] = number
        left[codes[-1]] = number + len(SUIT_CODES)
    left[list(SUIT_NUCLEI)] = right[list(SUIT_NUCLEI)] = WHITE_MATTER
    x_mm = grid.affine[0, 0] * np.arange(grid.shape[0]) + grid.affine[0, 3]
    return np.where((x_mm < 0)[:, None, None], left[suit], right[suit])


def merge_cobralab(dseg: space.LabelMap) -> space.LabelMap:
    """Cerebatch codes -> codes of `SHARED`; the white matter becomes `WHITE_MATTER`."""
    table = np.zeros(256, dtype=np.uint8)
    for label in labels.LABELS:
        structure = "I-IV" if label.structure in ("I-II", "III", "IV") else label.structure
        name = f"{label.side} {structure}"
        table[label.index] = SHARED.index(name) + 1 if name in SHARED else WHITE_MATTER
    return table[dseg]


def close_fissures(dseg: space.LabelMap, grid: space.Grid) -> space.LabelMap:
    """Fill fissures of up to twice `FISSURE_MM` and enclosed holes with the nearest label.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Any codes on `grid`.
    grid : Grid
    """
    nearest = ndimage.distance_transform_edt(
        dseg == 0, sampling=grid.voxel_sizes_mm, return_distances=False, return_indices=True
    )
    return np.where(closed(dseg > 0, grid, FISSURE_MM), dseg[tuple(nearest)], 0).astype(np.uint8)
