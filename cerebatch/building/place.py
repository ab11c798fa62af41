"""One published lobule map placed on the template by an affine, as a labelled case.

The map's own scan is not published, so nothing but the labels can say where it belongs. The SUIT
parcellation is the go-between (`suit`): its template cerebellum is registered to the MNI template, its
lobules are carried along, and those that it shares with the map's protocol give the affine (`align`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cerebatch import labels
from cerebatch.building.suit import (
    SHARED,
    WHITE_MATTER,
    close_fissures,
    merge_cobralab,
    merge_suit,
    register_suit,
    require_suit,
)
from cerebatch.errors import InputError, LabelMapError, UnreadableScanError
from cerebatch.io import files
from cerebatch.io.images import read_grid, read_voxels, refusing
from cerebatch.io.labelmaps import read_codes
from cerebatch.measures.overlap import dice
from cerebatch.spatial import space
from cerebatch.spatial.align import centroids, fit_affine, overlap_affine
from cerebatch.spatial.blocks import fine_mm, majority
from cerebatch.spatial.registration import SCALE_LIMITS

LICENCE = (
    "The lobule maps are CC BY-NC-SA 4.0 (CoBrALab/atlases), the SUIT parcellation is CC BY-NC 3.0 "
    "(DiedrichsenLab/cerebellar_atlases). Made from them for use inside this lab; not for redistribution."
)


@dataclass(frozen=True)
class PlacedCase:
    """A lobule map in the cerebellum box.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes on `grid`; fissures that the map keeps open are background.
    grid : Grid
        The cerebellum box, MNI frame.
    mni_from_map : (4, 4) float
        Millimetres of the map's scanner frame -> MNI millimetres.
    dropped : dict
        Voxels of the map dropped for each code outside the protocol.
    agreement : dict
        Dice of each structure of `SHARED` with SUIT, and of the whole "cerebellum" with its fissures
        closed in both.
    margin_mm : float
        Distance of the nearest labelled point of the map from the faces of the box.
    sources : tuple of str
        File names of the map, the SUIT parcellation and its T1w.
    """

    dseg: space.LabelMap
    grid: space.Grid
    mni_from_map: space.Affine
    dropped: dict[int, int]
    agreement: dict[str, float]
    margin_mm: float
    sources: tuple[str, str, str]


def place(map_path: Path, suit_path: Path, suit_t1_path: Path, resolution: float) -> PlacedCase:
    """Place a lobule map in the cerebellum box.

    Parameters
    ----------
    map_path : Path
        Lobule map in CoBrALab codes, in its own scanner space.
    suit_path : Path
        SUIT parcellation in MNI152NLin6Asym space (codes 1 to 34).
    suit_t1_path : Path
        T1-weighted cerebellum of that template.
    resolution : float
        Voxel edge of the box in millimetres, one of `space.RESOLUTIONS`.

    Raises
    ------
    LabelMapError
        Codes outside either protocol, a structure that is missing, an affine that no cerebellum can
        have, or labels outside the box.
    UnreadableScanError
        `suit_t1_path` is no image.
    RegistrationError
        The two templates did not come to lie on each other.
    SettingsError
        ANTs already runs in this process on more than one thread.
    """
    codes, map_grid = read_codes(map_path)
    dseg, dropped = labels.from_cobralab(codes)
    moving = merge_cobralab(dseg)
    _require_protocol(map_path, moving, dropped)
    work = space.cerebellum_box(1.0)
    reference = suit_on_box(suit_path, suit_t1_path)

    here, volumes_mm3 = centroids(moving, map_grid, len(SHARED))
    there, _ = centroids(reference, work, len(SHARED))
    start = fit_affine(here, there, np.sqrt(volumes_mm3))
    started = space.resample_labels(moving, map_grid, work, space.inverse(start))
    mni_from_map = overlap_affine(close_fissures(started, work), reference, work, len(SHARED)) @ start
    _require_plausible(map_path, mni_from_map)
    margin_mm = _require_inside(map_path, dseg, map_grid, mni_from_map)

    grid = space.cerebellum_box(resolution)
    fine = space.cerebellum_box(fine_mm(resolution))
    map_from_mni = space.inverse(mni_from_map)
    placed = majority(
        space.resample_labels(dseg, map_grid, fine, map_from_mni), round(resolution / fine_mm(resolution))
    )
    final = space.resample_labels(moving, map_grid, work, map_from_mni)
    sources = (map_path.name, suit_path.name, suit_t1_path.name)
    return PlacedCase(placed, grid, mni_from_map, dropped, agreement(final, reference, work), margin_mm, sources)


def suit_on_box(suit_path: Path, suit_t1_path: Path) -> space.LabelMap:
    """SUIT on the cerebellum box at 1 mm: codes of `suit.SHARED`, fissures closed, registered to our template.

    Parameters
    ----------
    suit_path : Path
        SUIT parcellation in MNI152NLin6Asym space (codes 1 to 34).
    suit_t1_path : Path
        T1-weighted cerebellum of that template.

    Raises
    ------
    LabelMapError, UnreadableScanError, RegistrationError, SettingsError
        As `place`.
    """
    codes, suit_grid = read_codes(suit_path)
    require_suit(suit_path, codes)
    suit = codes.astype(np.uint8)
    suit_from_mni = register_suit(*_read_t1w(suit_t1_path), suit, suit_grid)
    box = space.cerebellum_box(1.0)
    return close_fissures(merge_suit(space.resample_labels(suit, suit_grid, box, suit_from_mni), box), box)


def write_case(placed: PlacedCase, out_path: Path) -> None:
    """Write the labels as NIfTI and what they were made from as JSON beside it.

    Parameters
    ----------
    placed : PlacedCase
    out_path : Path
        Ends in ``.nii.gz``; the JSON has the same name otherwise. The folder is made where it is missing.

    Raises
    ------
    InputError
        `out_path` does not end in ``.nii.gz``.
    """
    if not out_path.name.endswith(".nii.gz"):
        raise InputError(
            out_path, expected="a name that ends in .nii.gz", found=out_path.name, do="Rename the output file."
        )
    sidecar = {
        "Sources": list(placed.sources),
        "Space": space.TEMPLATE_SPACE,
        "Labels": {label.index: label.name for label in labels.LABELS},
        "MniFromMap": placed.mni_from_map.tolist(),
        "DroppedCodes": placed.dropped,
        "DiceWithSUIT": {name: round(value, 4) for name, value in placed.agreement.items()},
        "MarginMm": round(placed.margin_mm, 2),
        "License": LICENCE,
    }
    files.write_image(out_path, placed.dseg, placed.grid, "MNI")
    files.write_json(out_path.with_name(out_path.name.removesuffix(".nii.gz") + ".json"), sidecar)


def agreement(merged: space.LabelMap, reference: space.LabelMap, grid: space.Grid) -> dict[str, float]:
    """Dice of each structure of `SHARED`, and of the whole "cerebellum" with closed fissures.

    Parameters
    ----------
    merged, reference : (X, Y, Z) uint8
        Codes of `SHARED` on `grid`; `reference` with its fissures closed.
    grid : Grid
    """
    result = {name: dice(merged == code, reference == code) for code, name in enumerate(SHARED, start=1)}
    result["cerebellum"] = dice(close_fissures(merged, grid) > 0, reference > 0)
    return result


def _read_t1w(path: Path) -> tuple[space.Volume, space.Grid]:
    def refuse(error: Exception) -> UnreadableScanError:
        found = f"{type(error).__name__}: {error}"
        return UnreadableScanError(path, expected="a T1w image", found=found, do="Check the path and the file.")

    with refusing(refuse):
        return read_voxels(path), read_grid(path)


def _require_protocol(path: Path, merged: space.LabelMap, dropped: dict[int, int]) -> None:
    counts = np.bincount(merged.ravel(), minlength=WHITE_MATTER)
    missing = [name for name, count in zip(SHARED, counts[1:WHITE_MATTER], strict=True) if count == 0]
    if missing or sum(dropped.values()) > 0.001 * counts[1:].sum():
        raise LabelMapError(
            path,
            expected="every structure in the codes of Park et al. 2014 (1-13 left, 101-113 right)",
            found=f"missing: {', '.join(missing) or 'none'}; voxels with other codes: {dropped or 'none'}",
            do="Give a map in CoBrALab codes as published.",
        )


def _require_plausible(path: Path, mni_from_map: space.Affine) -> None:
    scales = np.linalg.svd(mni_from_map[:3, :3], compute_uv=False)
    mirrored = np.linalg.det(mni_from_map[:3, :3]) <= 0
    low, high = SCALE_LIMITS
    if mirrored or scales.min() < low or scales.max() > high:
        raise LabelMapError(
            path,
            expected=f"an affine to MNI with scales of {low} to {high} and no mirroring",
            found=f"scales {', '.join(f'{scale:.2f}' for scale in scales)}{', mirrored' if mirrored else ''}",
            do="Check that the header's left is the left of the labels and that its voxel size is right.",
        )


def _require_inside(path: Path, dseg: space.LabelMap, grid: space.Grid, mni_from_map: space.Affine) -> float:
    points = space.apply(mni_from_map @ grid.affine, np.argwhere(dseg).astype(np.float64))
    low, high = np.array(space.BOX_MM).T
    margins = np.minimum(points - low, high - points).min(axis=1)
    outside = float((margins < 0).mean())
    if outside > 0:
        raise LabelMapError(
            path,
            expected="every labelled voxel inside the cerebellum box",
            found=f"{100 * outside:.2g} % of them outside, up to {-margins.min():.1f} mm",
            do="Look for stray labels far from the cerebellum and remove them.",
        )
    return float(margins.min())
