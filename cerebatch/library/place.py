"""One published lobule map placed on the template by an affine, as a labelled case.

The map's own scan is not published, so nothing but the labels can say where it belongs. The SUIT
parcellation (Diedrichsen et al. 2009, NeuroImage 46:39-46) is the go-between: its template cerebellum is
registered to the MNI template, its lobules are carried along, and the lobules that it shares with the
map's protocol (Park et al. 2014, NeuroImage 95:217-231) give the affine, first by their centroids, then by
their overlap.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import ants_bridge, files, labels, space, template
from cerebatch.errors import InputError, LabelMapError, RegistrationError, UnreadableScanError

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

FINE_MM = 0.25
"""Voxel edge of the grid that shares of a box voxel are counted on; the maps have 0.3 mm."""

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

    Takes one thread of ANTs for the whole process: on two, a registration does not repeat itself.

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
        ANTs already runs in this process on another number of threads.
    """
    codes, map_grid = _read_labels(map_path)
    dseg, dropped = labels.from_cobralab(codes)
    moving = merge_cobralab(dseg)
    _require_protocol(map_path, moving, dropped)
    codes, suit_grid = _read_labels(suit_path)
    _require_suit(suit_path, codes)
    suit = codes.astype(np.uint8)
    t1w, t1w_grid = _read_t1w(suit_t1_path)

    suit_from_mni = register_suit(t1w, t1w_grid, suit, suit_grid)
    work = space.cerebellum_box(1.0)
    reference = close_fissures(merge_suit(space.resample_labels(suit, suit_grid, work, suit_from_mni), work), work)

    here, volumes_mm3 = centroids(moving, map_grid)
    there, _ = centroids(reference, work)
    start = fit_affine(here, there, np.sqrt(volumes_mm3))
    started = close_fissures(space.resample_labels(moving, map_grid, work, _inverse(start)), work)
    mni_from_map = overlap_affine(started, reference, work) @ start
    _require_plausible(map_path, mni_from_map)
    margin_mm = _require_inside(map_path, dseg, map_grid, mni_from_map)

    grid = space.cerebellum_box(resolution)
    fine = space.cerebellum_box(FINE_MM)
    map_from_mni = _inverse(mni_from_map)
    placed = majority(space.resample_labels(dseg, map_grid, fine, map_from_mni), round(resolution / FINE_MM))
    final = space.resample_labels(moving, map_grid, work, map_from_mni)
    sources = (Path(map_path).name, Path(suit_path).name, Path(suit_t1_path).name)
    return PlacedCase(placed, grid, mni_from_map, dropped, agreement(final, reference, work), margin_mm, sources)


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
    out_path = Path(out_path)
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
    ants_bridge.use_threads(1)
    fixed, whole = template.t1w(1)
    slices = whole.cropped_around(space.cerebellum_box(1.0).corners_mm())
    grid = whole.block(slices)
    mask = close_fissures(space.resample_labels(suit, suit_grid, grid, np.eye(4)), grid) > 0
    suit_from_mni = ants_bridge.register(
        fixed[slices],
        grid,
        mask,
        t1w,
        t1w_grid,
        np.eye(4),
        kind="Affine",
        iterations=(200, 100),
        shrink=(4, 2),
        smoothing=(2, 1),
        seed=1,
    )
    corners = space.cerebellum_box(1.0).corners_mm()
    moved_mm = float(np.linalg.norm(space.apply(suit_from_mni, corners) - corners, axis=1).max())
    if not moved_mm < 25:
        raise RegistrationError(
            f"The SUIT template was registered to {space.TEMPLATE_SPACE} with a shift of {moved_mm:.0f} mm at the "
            "corners of the cerebellum box, expected less than 25 mm. Check that its T1w is in MNI152NLin6Asym space."
        )
    return suit_from_mni


def merge_cobralab(dseg: space.LabelMap) -> space.LabelMap:
    """Cerebatch codes -> codes of `SHARED`; the white matter becomes `WHITE_MATTER`."""
    table = np.zeros(256, dtype=np.uint8)
    for label in labels.LABELS:
        structure = "I-IV" if label.structure in ("I-II", "III", "IV") else label.structure
        name = f"{label.side} {structure}"
        table[label.index] = SHARED.index(name) + 1 if name in SHARED else WHITE_MATTER
    return table[dseg]


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


def close_fissures(dseg: space.LabelMap, grid: space.Grid) -> space.LabelMap:
    """Fill fissures of up to twice `FISSURE_MM` and enclosed holes with the nearest label.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Any codes on `grid`.
    grid : Grid
    """
    steps = np.ceil(FISSURE_MM / grid.voxel_sizes_mm).astype(int)
    offsets = np.meshgrid(*[np.arange(-n, n + 1) for n in steps], indexing="ij")
    ball = sum((o * s) ** 2 for o, s in zip(offsets, grid.voxel_sizes_mm, strict=True)) <= FISSURE_MM**2
    # Room for the dilation, which the edge of the grid would cut and the erosion then eat away.
    room = [(int(n), int(n)) for n in steps]
    padded = np.pad(dseg, room)
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(padded > 0, ball))
    nearest = ndimage.distance_transform_edt(
        padded == 0, sampling=grid.voxel_sizes_mm, return_distances=False, return_indices=True
    )
    filled = np.where(closed, padded[tuple(nearest)], 0).astype(np.uint8)
    x, y, z = (slice(n, size - n) for (n, _), size in zip(room, filled.shape, strict=True))
    return filled[x, y, z]


def centroids(merged: space.LabelMap, grid: space.Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and size of each structure of `SHARED`.

    Parameters
    ----------
    merged : (X, Y, Z) uint8
        Codes of `SHARED` on `grid`, each of them present.
    grid : Grid

    Returns
    -------
    centres_mm : (20, 3) float
        In the grid's frame.
    volumes_mm3 : (20,) float
    """
    index = np.nonzero(merged)
    codes = merged[index]
    counts = np.bincount(codes, minlength=WHITE_MATTER)[1:WHITE_MATTER]
    sums = [np.bincount(codes, weights=axis, minlength=WHITE_MATTER)[1:WHITE_MATTER] for axis in index]
    return space.apply(grid.affine, np.stack(sums, axis=1) / counts[:, None]), (counts * grid.voxel_volume_mm3).astype(
        np.float64
    )


def fit_affine(source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]) -> space.Affine:
    """The affine that takes points to points with the least weighted squared distance.

    Parameters
    ----------
    source, target : (N, 3) float
        At least four pairs that do not lie in one plane.
    weights : (N,) float
        Weight of each squared distance.

    Returns
    -------
    target_from_source : (4, 4) float
    """
    root = np.sqrt(weights)[:, None]
    design = np.column_stack([source, np.ones(len(source))])
    solution, *_ = np.linalg.lstsq(design * root, target * root, rcond=None)
    target_from_source = np.eye(4)
    target_from_source[:3] = solution.T
    return target_from_source


def overlap_affine(moving: space.LabelMap, fixed: space.LabelMap, grid: space.Grid) -> space.Affine:
    """The affine that brings the shared structures of two maps to overlap, from nearby.

    Gauss-Newton on the squared differences of the smoothed structures, with the mean of both gradients
    for the Jacobian, which widens its reach (Malis 2004, ICRA, 1843-1848).

    Parameters
    ----------
    moving, fixed : (X, Y, Z) uint8
        Codes of `SHARED` on `grid`, a few millimetres apart.
    grid : Grid

    Returns
    -------
    fixed_from_moving : (4, 4) float
        In the grid's frame.
    """
    every = np.diag([2.0, 2.0, 2.0, 1.0])
    shape = ((np.array(grid.shape) + 1) // 2).tolist()
    coarse = space.Grid((shape[0], shape[1], shape[2]), grid.affine @ every)
    sources, targets = _smoothed(moving, grid), _smoothed(fixed, grid)
    slopes = [_gradient(target, coarse) for target in targets]
    points = space.apply(coarse.affine, np.indices(coarse.shape).reshape(3, -1).T.astype(np.float64))
    homogeneous = np.column_stack([points, np.ones(len(points))]).T

    moving_from_fixed = np.eye(4)
    for _ in range(10):
        normal, right = np.zeros((12, 12)), np.zeros(12)
        for source, target, slope in zip(sources, targets, slopes, strict=True):
            warped = space.resample(source, coarse, coarse, moving_from_fixed, order=1)
            gradient = (_gradient(warped, coarse) + slope) / 2
            seen = np.abs(gradient).sum(axis=0) > 1e-4
            jacobian = (gradient[:, None, seen] * homogeneous[None][:, :, seen]).reshape(12, -1)
            normal += jacobian @ jacobian.T
            right += jacobian @ (target - warped).ravel()[seen]
        step = np.eye(4)
        step[:3] += np.linalg.solve(normal, right).reshape(3, 4)
        moving_from_fixed = moving_from_fixed @ step
        corners = coarse.corners_mm()
        if np.abs(space.apply(step, corners) - corners).max() < 0.01:
            break
    return _inverse(moving_from_fixed)


def majority(dseg: space.LabelMap, factor: int) -> space.LabelMap:
    """The most frequent label of each block of voxels; ties go to the smaller code.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Every side a multiple of `factor`.
    factor : int
        Edge of a block in voxels.
    """
    x, y, z = (n // factor for n in dseg.shape)
    blocks = dseg.reshape(x, factor, y, factor, z, factor).transpose(0, 2, 4, 1, 3, 5).reshape(-1, factor**3)
    winner = blocks[:, 0].copy()
    mixed = (blocks != blocks[:, :1]).any(axis=1)
    votes = [np.count_nonzero(blocks[mixed] == code, axis=1) for code in range(int(dseg.max()) + 1)]
    winner[mixed] = np.argmax(votes, axis=0)
    return winner.reshape(x, y, z)


def agreement(merged: space.LabelMap, reference: space.LabelMap, grid: space.Grid) -> dict[str, float]:
    """Dice of each structure of `SHARED`, and of the whole "cerebellum" with closed fissures.

    Parameters
    ----------
    merged, reference : (X, Y, Z) uint8
        Codes of `SHARED` on `grid`; `reference` with its fissures closed.
    grid : Grid
    """
    result = {name: _dice(merged == code, reference == code) for code, name in enumerate(SHARED, start=1)}
    result["cerebellum"] = _dice(close_fissures(merged, grid) > 0, reference > 0)
    return result


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def _smoothed(merged: space.LabelMap, grid: space.Grid) -> list[space.Volume]:
    """Structures of `SHARED`, smoothed by the width of a fissure, at every second voxel."""
    sigma = FISSURE_MM / grid.voxel_sizes_mm
    return [
        ndimage.gaussian_filter((merged == code).astype(np.float32), sigma)[::2, ::2, ::2]
        for code in range(1, WHITE_MATTER)
    ]


def _gradient(image: space.Volume, grid: space.Grid) -> NDArray[np.float32]:
    """Gradient per millimetre of the grid's frame, shape (3, voxels)."""
    per_voxel = np.stack(np.gradient(image)).reshape(3, -1)
    per_mm: NDArray[np.float32] = (_inverse(grid.affine)[:3, :3].T @ per_voxel).astype(np.float32)
    return per_mm


def _read_labels(path: Path) -> tuple[NDArray[np.integer], space.Grid]:
    try:
        image = nib.load(path)
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ImageFileError) as err:
        raise LabelMapError(
            path, expected="a label image", found=f"{type(err).__name__}: {err}", do="Check the path and the file."
        ) from err
    codes = values if values.dtype.kind in "ui" else np.nan_to_num(values).astype(np.int32)
    if values.ndim != 3 or not np.array_equal(codes, values):
        raise LabelMapError(
            path,
            expected="three axes of whole numbers",
            found=f"shape {values.shape}, values of {values.dtype}",
            do="Give the label map as published.",
        )
    return codes, space.Grid.of(image)


def _read_t1w(path: Path) -> tuple[space.Volume, space.Grid]:
    try:
        image = nib.load(path)
        return np.asarray(image.dataobj, dtype=np.float32), space.Grid.of(image)
    except (OSError, EOFError, ValueError, ImageFileError) as err:
        raise UnreadableScanError(
            path, expected="a T1w image", found=f"{type(err).__name__}: {err}", do="Check the path and the file."
        ) from err


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
    if dropped:
        warnings.warn(f"{path}: voxels with codes outside the protocol became background: {dropped}", stacklevel=3)


def _require_suit(path: Path, suit: NDArray[np.integer]) -> None:
    known = {code for codes in SUIT_CODES.values() for code in codes}
    found = {int(code) for code in np.unique(suit)} - {0}
    missing, unknown = sorted(known - found), sorted(found - known - set(SUIT_NUCLEI))
    if missing or unknown:
        raise LabelMapError(
            path,
            expected="SUIT codes 1 to 28, and 29 to 34 for the nuclei",
            found=f"missing {missing}, unknown {unknown[:10]}",
            do="Give the parcellation of DiedrichsenLab/cerebellar_atlases in MNI152NLin6Asym space.",
        )


def _require_plausible(path: Path, mni_from_map: space.Affine) -> None:
    scales = np.linalg.svd(mni_from_map[:3, :3], compute_uv=False)
    mirrored = np.linalg.det(mni_from_map[:3, :3]) <= 0
    if mirrored or scales.min() < 0.6 or scales.max() > 1.7:
        raise LabelMapError(
            path,
            expected="an affine to MNI with scales of 0.6 to 1.7 and no mirroring",
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


def _inverse(affine: space.Affine) -> space.Affine:
    return np.asarray(np.linalg.inv(affine), dtype=np.float64)
