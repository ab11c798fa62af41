"""Reading label maps from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from cerebatch.errors import LabelMapError
from cerebatch.io.images import open_image, refusing
from cerebatch.labels import LABELS
from cerebatch.spatial.space import Grid, LabelMap


def map_name(path: Path) -> str:
    """Name of a label map: that of its file without extension and ``_dseg`` or ``_labels``."""
    return path.name.split(".")[0].removesuffix("_dseg").removesuffix("_labels")


def read_codes(path: Path) -> tuple[NDArray[np.integer], Grid]:
    """Read a map of whole numbers in any protocol.

    Parameters
    ----------
    path : Path
        NIfTI, MGH or MINC.

    Returns
    -------
    codes : (X, Y, Z) integer
    grid : Grid
        In the frame of the file.

    Raises
    ------
    LabelMapError
        No readable image, not three axes, or fractions.
    """

    def refuse(error: Exception) -> LabelMapError:
        return LabelMapError(
            path,
            expected="a label map (NIfTI, MGH or MINC)",
            found=f"no readable image ({type(error).__name__})",
            do="Check the path and the file.",
        )

    with refusing(refuse):
        image = open_image(path)
        values = np.asanyarray(image.dataobj)
    if path.suffix == ".mnc":
        values = _unscaled(values)
    return _whole(path, values), Grid.of(image)


def _unscaled(values: NDArray[Any]) -> NDArray[Any]:
    """Values of a MINC file, which keeps even labels as shares of a range: 112.9999 means 113."""
    whole = np.rint(values)
    return whole if np.allclose(values, whole, rtol=0, atol=1e-3) else values


def _whole(path: Path, values: NDArray[Any]) -> NDArray[np.integer]:
    codes = values if values.dtype.kind in "ui" else np.nan_to_num(values).astype(np.int32)
    if values.ndim != 3 or not np.array_equal(codes, values):
        raise LabelMapError(
            path,
            expected="three axes of whole numbers",
            found=f"shape {values.shape}, values of {values.dtype}",
            do="Give the label map, not probabilities or an image.",
        )
    return codes


def read_dseg(path: Path) -> tuple[LabelMap, Grid]:
    """Read a map in cerebatch codes.

    Parameters
    ----------
    path : Path
        NIfTI or MGH.

    Returns
    -------
    dseg : (X, Y, Z) uint8
    grid : Grid
        In the frame of the file.

    Raises
    ------
    LabelMapError
        As `read_codes`; or codes outside the protocol, or none but background.
    """
    codes, grid = read_codes(path)
    return _in_protocol(path, codes), grid


def as_dseg(image: SpatialImage, path: Path) -> tuple[LabelMap, Grid]:
    """A map in cerebatch codes that is in memory.

    Parameters
    ----------
    image : nibabel image
    path : Path
        What errors call it.

    Returns
    -------
    dseg : (X, Y, Z) uint8
    grid : Grid

    Raises
    ------
    LabelMapError
        As `read_dseg`.
    """
    return _in_protocol(path, _whole(path, np.asanyarray(image.dataobj))), Grid.of(image)


def _in_protocol(path: Path, codes: NDArray[np.integer]) -> LabelMap:
    lowest, highest = int(codes.min()), int(codes.max())
    if lowest < 0 or highest > len(LABELS) or highest == 0:
        raise LabelMapError(
            path,
            expected=f"codes 0 to {len(LABELS)}, and more than background",
            found=f"codes {lowest} to {highest}",
            do="Give a map in cerebatch codes; `cerebatch library place` translates CoBrALab maps.",
        )
    return codes.astype(np.uint8)
