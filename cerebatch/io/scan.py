"""One image: opened, checked and turned to RAS+.

The header is judged before a voxel is read, so that a wrong file is refused within milliseconds.
What a scan must be is said in `scan_checks`.
"""

from __future__ import annotations

import gzip
import math
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from cerebatch.errors import ScanGeometryError, UnreadableScanError
from cerebatch.io import scan_checks
from cerebatch.io.images import open_image, refusing
from cerebatch.spatial.space import Grid, Volume

EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".mgh")
"""Names of files that `read_scan` takes: NIfTI-1, NIfTI-2 and MGH."""

FORMATS = "a NIfTI (.nii, .nii.gz) or MGH (.mgh, .mgz) image"

LARGEST_DEFLATE_RATIO = 1032
"""Deflate cannot shrink anything further (zlib technical details), so a .gz smaller than that is cut short."""

MOST_VOXELS = 700_000_000
"""What claims more is damaged or meant to fill the memory: gzip shrinks zeros a thousandfold."""


@dataclass(frozen=True)
class Scan:
    """A three-dimensional image that passed every check.

    Attributes
    ----------
    path : Path
        The file it was read from.
    image : (X, Y, Z) float32
        Scaled values, axes in the order and direction closest to RAS+, C-contiguous.
    grid : Grid
        Grid of `image` in the native frame.
    stored_grid : Grid
        Grid as in the file, before the axes were turned; a trailing axis of length one is left out.
    warnings : tuple of str
        What is unusual about the scan, in plain sentences.
    """

    path: Path
    image: Volume
    grid: Grid
    stored_grid: Grid
    warnings: tuple[str, ...]


def read_scan(path: Path | str) -> Scan:
    """Read one image, refuse what cannot be segmented, and turn it to RAS+.

    Parameters
    ----------
    path : Path or str
        NIfTI-1, NIfTI-2 or MGH.

    Raises
    ------
    UnreadableScanError
        Missing, a folder, truncated, corrupt, or in another format.
    ScanGeometryError
        Not one volume in three dimensions, no trustworthy orientation, voxels too coarse, or a field
        of view that cannot hold a cerebellum.
    ScanVoxelError
        Colour, complex, constant, NaN or infinite values.
    """
    path = Path(path)
    _check_file(path)
    nifti_or_mgh = _open(path)
    warnings = scan_checks.check_header(path, nifti_or_mgh)
    _check_complete(path, nifti_or_mgh)
    stored, stored_grid = _load(path, nifti_or_mgh), Grid.of(nifti_or_mgh)
    warnings += scan_checks.check_voxels(path, stored, stored_grid)
    image, grid = _to_ras(stored, stored_grid)
    return Scan(path, image, grid, stored_grid, tuple(warnings))


def stored_voxels(path: Path) -> int:
    """Number of voxels that a header promises; nothing but the header is read.

    Raises
    ------
    UnreadableScanError
        Missing, or not an image.
    """
    _check_file(path)
    return math.prod(int(n) for n in _open(path).shape)


def _check_file(path: Path) -> None:
    def refuse(found: str, do: str) -> UnreadableScanError:
        return UnreadableScanError(path, expected=FORMATS, found=found, do=do)

    if path.is_symlink() and not path.exists():
        target = path.readlink()
        raise refuse(f"a link to {target}, which is missing", "Fetch the file (for DataLad, `datalad get` it).")
    if not path.exists():
        raise refuse("no such file", "Check the path for spelling, and that its disk is mounted.")
    if path.is_dir():
        raise refuse("a folder", "Give the image inside it; a whole BIDS dataset goes to the batch command.")
    if not path.name.lower().endswith(EXTENSIONS):
        do = "Convert it to NIfTI, for example with dcm2niix or mri_convert."
        if path.suffix.lower() in (".dcm", ".ima"):
            do = "Convert the series to NIfTI with dcm2niix. Give the folder of the series to `cerebatch segment`."
        raise refuse(f"a file named *{path.suffix}", do)
    if not os.access(path, os.R_OK):
        raise refuse("a file without read permission", "Ask its owner for read permission.")
    if path.stat().st_size == 0:
        raise refuse("an empty file (0 bytes)", "Copy or convert it again; the disk may have been full.")
    if path.name.lower().endswith("gz") != _is_gzip(path):
        packed = "compressed" if _is_gzip(path) else "uncompressed"
        raise refuse(f"{packed} data under the name *{path.suffix}", "Rename it, or copy it again if it is damaged.")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> SpatialImage:
    with refusing(partial(_unreadable, path)):
        image = open_image(path)
        if isinstance(image, nib.MGHImage):
            _check_mgh_orientation(path)
    if not isinstance(image, (nib.Nifti1Image, nib.MGHImage)):
        raise UnreadableScanError(
            path,
            expected=FORMATS,
            found=f"the format that nibabel calls {type(image).__name__}",
            do="Convert it to NIfTI, for example with mri_convert.",
        )
    return image


def _check_mgh_orientation(path: Path) -> None:
    # nibabel replaces a missing orientation by a guess and forgets that it did.
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
        good_ras_flag = int.from_bytes(file.read(30)[28:30], "big")
    if not good_ras_flag:
        raise ScanGeometryError(
            path,
            expected="a header that says where left and right are",
            found="an MGH header without orientation (goodRASFlag is 0)",
            do="Convert the original images again, or set the orientation with mri_convert.",
        )


def _check_complete(path: Path, image: SpatialImage) -> None:
    promised = int(np.prod(image.shape, dtype=object)) * image.get_data_dtype().itemsize
    size = path.stat().st_size
    if promised > size * (LARGEST_DEFLATE_RATIO if _is_gzip(path) else 1):
        raise UnreadableScanError(
            path,
            expected=f"{promised} bytes of voxels, as its header says",
            found=f"a truncated file of {size} bytes",
            do="Copy or convert it again; a transfer may have been cut short.",
        )
    if int(np.prod(image.shape, dtype=object)) > MOST_VOXELS:
        raise ScanGeometryError(
            path,
            expected=f"at most {MOST_VOXELS // 10**6} million voxels, those of a whole head at 0.25 mm",
            found=" x ".join(map(str, image.shape)),
            do="Downsample or crop it, or convert it again if its header is damaged.",
        )


def _load(path: Path, image: SpatialImage) -> Volume:
    with refusing(partial(_unreadable, path)):
        raw = _stored_values(path, image)
    return _scaled(raw, float(image.dataobj.slope), float(image.dataobj.inter))


def _stored_values(path: Path, image: SpatialImage) -> NDArray[np.generic]:
    proxy = image.dataobj
    count = int(np.prod(proxy.shape))
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
        file.seek(proxy.offset)
        content = file.read(count * proxy.dtype.itemsize)
        # gzip compares its checksum at the end of the file only; nibabel stops before and misses flipped bits.
        while file.read(1 << 20):
            pass
    return np.frombuffer(content, proxy.dtype, count).reshape(proxy.shape[:3], order="F")


def _scaled(raw: NDArray[np.generic], slope: float, intercept: float) -> Volume:
    """Values times slope plus intercept, in double precision a slice at a time: big integers keep their digits."""
    scaled = np.empty(raw.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for index in range(raw.shape[2]):
            scaled[:, :, index] = raw[:, :, index].astype(np.float64) * slope + intercept
    return scaled


def _to_ras(stored: Volume, stored_grid: Grid) -> tuple[Volume, Grid]:
    orientation = nib.io_orientation(stored_grid.affine)
    image = np.ascontiguousarray(nib.apply_orientation(stored, orientation))
    affine = stored_grid.affine @ nib.orientations.inv_ornt_aff(orientation, stored_grid.shape)
    x, y, z = image.shape
    return image, Grid((x, y, z), affine)


def _unreadable(path: Path, error: Exception) -> UnreadableScanError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return UnreadableScanError(
        path,
        expected=FORMATS,
        found=f"a truncated or damaged file ({reason})",
        do="Copy or convert it again, and open it in a viewer to be sure.",
    )
