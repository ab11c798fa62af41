"""What a scan must be before it is segmented, and what is worth a warning.

A check raises the error of a scan that is refused, and returns sentences about one that is merely unusual.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import obliquity
from nibabel.spatialimages import SpatialImage
from numpy.typing import ArrayLike, NDArray

from cerebatch.errors import ScanGeometryError, ScanVoxelError
from cerebatch.spatial.space import Affine, Grid, Volume

CEREBELLUM_MM = (90.0, 50.0, 45.0)
"""Smallest field of view (left-right, back-front, down-up): nine tenths of a small adult cerebellum (100 x 55 x 50),
so that a child's passes."""

REFUSED_EDGE_MM = 3.5
"""Voxels longer than this along any axis are refused: a fissure between lobules is then lost."""

COARSE_EDGE_MM = 1.5
"""Voxels longer than this along any axis are worth a warning."""

ANISOTROPY = 1.2
"""Longest over shortest edge of a voxel that is worth a warning; 0.87 x 0.87 x 1 mm is still usual."""

LARGEST_MM = 1e6
"""Entries of an affine beyond this are damage."""

FLATTEST = 1e-3
"""Volume of a voxel over that of a box with the same edges, below which an affine counts as singular."""

OBLIQUE_DEGREES = 1.0
"""Turn of the scanner's axes that is worth a warning."""

FORM_DISTANCE_MM = 1.0
"""Distance between sform and qform at a corner that is worth a warning."""

HEAD_CM3 = 1900.0
"""Less than this is no head with scalp: intracranial volumes end here, and a small child's head begins at 2000 cm3."""

BACKGROUND_SHARE = 1 / 3
"""Share of one constant value from which on it counts as background; a box tight around a brain has about 0.45."""

CUT_MM2 = 3000.0
"""Area by which neighbouring slices differ where the field of view cuts through a head; a child's neck has 4000 mm2.
Slices of a whole brain differ by 800 mm2 per mm between them at most, so by 2800 mm2 at the coarsest voxels."""


def check_header(path: Path, image: SpatialImage) -> list[str]:
    """Judge an image by its header alone.

    Parameters
    ----------
    path : Path
        Named in errors.
    image : Nifti1Image, Nifti2Image or MGHImage
        Not read beyond its header.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    ScanGeometryError, ScanVoxelError
    """
    _check_axes(path, image.shape)
    _check_type(path, image.get_data_dtype())
    warnings = _check_forms(path, image.header) if isinstance(image, nib.Nifti1Image) else []
    _check_affine(path, image.affine)
    grid = Grid.of(image)
    warnings += _check_voxel_size(path, grid)
    _check_field_of_view(path, grid)
    return warnings + _unusual_orientation(grid.affine) + _unusual_scaling(image)


def check_voxels(path: Path, image: Volume, grid: Grid) -> list[str]:
    """Judge an image by its values.

    Parameters
    ----------
    path : Path
        Named in errors.
    image : (X, Y, Z) float32
        Scaled values in the order of the file, so that an index in an error can be found with any viewer.
    grid : Grid
        Of `image`.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    ScanVoxelError
    """
    _check_finite(path, image)
    lowest, highest = float(image.min()), float(image.max())
    if lowest == highest:
        raise ScanVoxelError(
            path,
            expected="an image of a head",
            found=f"the same value {lowest:g} in every voxel",
            do="Convert the original images again, and open the result in a viewer.",
        )
    warnings = []
    if lowest < 0:
        warnings.append(f"{np.count_nonzero(image < 0)} voxels are negative, down to {lowest:g}.")
    foreground = foreground_of(image)
    if looks_brain_extracted(foreground, grid):
        cm3 = np.count_nonzero(foreground) * grid.voxel_volume_mm3 / 1000
        warnings.append(
            f"The image seems brain-extracted: {cm3:.0f} cm3 differ from its background, less than a head with scalp."
        )
    return warnings


def foreground_of(image: Volume) -> NDArray[np.bool_]:
    """Voxels that differ from the commonest value on the six faces of the image.

    Parameters
    ----------
    image : (X, Y, Z) float32
    """
    faces = np.concatenate([image.take((0, -1), axis=axis).ravel() for axis in range(3)])
    values, counts = np.unique(faces, return_counts=True)
    return np.asarray(image != values[counts.argmax()])


def looks_brain_extracted(foreground: NDArray[np.bool_], grid: Grid) -> bool:
    """Whether scalp and skull were removed: a constant background, too little else for a head, and no flat cut.

    Parameters
    ----------
    foreground : (X, Y, Z) bool
        From `foreground_of`.
    grid : Grid
        Of `foreground`.
    """
    voxels = np.count_nonzero(foreground)
    if voxels > (1 - BACKGROUND_SHARE) * foreground.size or voxels * grid.voxel_volume_mm3 / 1000 > HEAD_CM3:
        return False
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        slice_mm2 = foreground.sum(axis=others) * grid.voxel_volume_mm3 / grid.voxel_sizes_mm[axis]
        if np.abs(np.diff(slice_mm2, prepend=0, append=0)).max() > CUT_MM2:
            return False
    return True


def _check_finite(path: Path, image: Volume) -> None:
    bad = ~np.isfinite(image)
    count = np.count_nonzero(bad)
    if count:
        first = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ScanVoxelError(
            path,
            expected="a finite number in every voxel",
            found=f"{count} NaN or infinite voxels, the first at index {first}",
            do="Replace them, for example by 0 with `fslmaths -nan`, or find the step that made them.",
        )


def _check_axes(path: Path, shape: tuple[int, ...]) -> None:
    expected = "one volume with three axes"
    by = " x ".join(str(n) for n in shape)
    if len(shape) < 3 or min(shape[:3]) <= 1:
        raise ScanGeometryError(
            path, expected=expected, found=f"a single slice ({by})", do="Give the whole stack of slices as one file."
        )
    if any(n != 1 for n in shape[3:]):
        raise ScanGeometryError(
            path, expected=expected, found=f"a series ({by})", do="Pick or average one volume, for example with fslroi."
        )


def _check_type(path: Path, dtype: np.dtype[np.generic]) -> None:
    if dtype.kind not in "biuf":
        kind = "complex" if dtype.kind == "c" else "colour (RGB)" if dtype.names else "compound"
        raise ScanVoxelError(
            path,
            expected="one real number a voxel",
            found=f"{kind} voxels ({dtype})",
            do="Give the magnitude image, not a phase image or a screenshot.",
        )


def _check_forms(path: Path, header: nib.Nifti1Header) -> list[str]:
    sform, qform = _form(path, header, "sform"), _form(path, header, "qform")
    if sform is None and qform is None:
        raise ScanGeometryError(
            path,
            expected="a header that says where left and right are",
            found="neither sform nor qform (both codes are 0)",
            do="Convert the original DICOM files again, for example with dcm2niix.",
        )
    if sform is None or qform is None:
        return []
    _check_affine(path, sform)
    _check_affine(path, qform)
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise ScanGeometryError(
            path,
            expected="sform and qform that agree on left and right",
            found=f"sform {_axes(sform)} and qform {_axes(qform)}, one of them mirrored",
            do="Find out which side is left, then set both forms alike, for example with fslorient.",
        )
    x, y, z = header.get_data_shape()[:3]
    apart = np.linalg.norm(Grid((x, y, z), sform).corners_mm() - Grid((x, y, z), qform).corners_mm(), axis=1).max()
    if apart > FORM_DISTANCE_MM:
        return [f"sform and qform lie up to {apart:.1f} mm apart; the sform is used."]
    return []


def _form(path: Path, header: nib.Nifti1Header, name: str) -> Affine | None:
    try:
        affine, _ = header.get_qform(coded=True) if name == "qform" else header.get_sform(coded=True)
    except ValueError as error:
        raise ScanGeometryError(
            path,
            expected=f"a {name} that is an affine",
            found=f"one that is none ({error})",
            do="Convert the original images again, or set both forms alike, for example with fslorient.",
        ) from error
    return affine if affine is None else np.asarray(affine, dtype=np.float64)


def _check_affine(path: Path, affine: Affine) -> None:
    if (np.abs(affine) < LARGEST_MM).all():
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        if edges.min() > 0 and abs(np.linalg.det(affine[:3, :3] / edges)) > FLATTEST:
            return
        found = f"a singular one with voxel edges of {_by(edges)} mm"
    else:
        found = "one with NaN or infinite entries, or such of kilometres"
    raise ScanGeometryError(
        path,
        expected="an affine that can be inverted",
        found=found,
        do="Convert the original images again; this header cannot be repaired by guessing.",
    )


def _check_voxel_size(path: Path, grid: Grid) -> list[str]:
    edges = grid.voxel_sizes_mm
    if edges.max() > REFUSED_EDGE_MM:
        raise ScanGeometryError(
            path,
            expected=f"voxels of at most {REFUSED_EDGE_MM} mm along every axis",
            found=f"voxels of {_by(edges)} mm",
            do="Give a scan with thinner slices; resampling this one would not bring the fissures back.",
        )
    warnings = []
    if edges.max() > COARSE_EDGE_MM:
        warnings.append(f"Voxels of {_by(edges)} mm are coarse: fissures thinner than that are not seen.")
    ratio = edges.max() / edges.min()
    if ratio > ANISOTROPY:
        warnings.append(f"Voxels of {_by(edges)} mm are anisotropic: longest over shortest edge is {ratio:.1f}.")
    return warnings


def _check_field_of_view(path: Path, grid: Grid) -> None:
    ras_axes = nib.io_orientation(grid.affine)[:, 0].astype(int)
    field = np.empty(3)
    field[ras_axes] = grid.voxel_sizes_mm * grid.shape
    if (field < CEREBELLUM_MM).any():
        raise ScanGeometryError(
            path,
            expected=f"a field of view of at least {_by(CEREBELLUM_MM, 0)} mm (left-right, back-front, down-up)",
            found=f"{_by(field, 0)} mm, too small for a cerebellum",
            do="Give a scan that covers the whole cerebellum, and check that the header counts in millimetres.",
        )


def _unusual_orientation(affine: Affine) -> list[str]:
    warnings = []
    if _axes(affine) != "RAS":
        warnings.append(f"The image is stored as {_axes(affine)}; its axes were turned to RAS.")
    degrees = float(np.rad2deg(obliquity(affine)).max())
    if degrees > OBLIQUE_DEGREES:
        warnings.append(f"The image is oblique: its axes are up to {degrees:.1f} degrees off the scanner's.")
    return warnings


def _unusual_scaling(image: SpatialImage) -> list[str]:
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if (slope, intercept) == (1, 0):
        return []
    return [f"Stored values are scaled by the header: slope {slope:g}, intercept {intercept:g}."]


def _axes(affine: Affine) -> str:
    return "".join(nib.aff2axcodes(affine))


def _by(values: ArrayLike, digits: int = 2) -> str:
    return " x ".join(f"{value:.{digits}f}" for value in np.asarray(values))
