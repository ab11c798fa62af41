"""Writing images, tables and sidecars, the same content giving the same bytes. Images are read by `images`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import DatasetError, InputError
from cerebatch.io.atomic import write_text
from cerebatch.labels import LABELS
from cerebatch.spatial.space import Grid

Frame = Literal["native", "MNI"]

_FORM_CODE: dict[Frame, int] = {"native": 1, "MNI": 4}


def require_empty(folder: Path) -> None:
    """Refuse to write a dataset among other files.

    Raises
    ------
    DatasetError
        The folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(
            folder, expected="a new or empty folder", found="a folder with files in it", do="Name another folder."
        )


def require_absolute(*paths: Path | None) -> None:
    """Refuse paths that mean another file in another folder: jobs on other nodes start elsewhere.

    Raises
    ------
    InputError
        A path is relative.
    """
    for path in paths:
        if path is not None and not path.is_absolute():
            raise InputError(
                path,
                expected="an absolute path, for jobs start in other folders",
                found="a relative one",
                do=f"Give {path.absolute()}.",
            )


def write_image(path: Path, voxels: NDArray[Any], grid: Grid, frame: Frame) -> None:
    """Write NIfTI-1 with sform and qform.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    voxels : (X, Y, Z) array
        Stored in its own type.
    grid : Grid
    frame : {"native", "MNI"}
        Decides the codes of sform and qform: scanner or template.
    """
    _save(nib.Nifti1Image(voxels, grid.affine), path, grid, frame)


def write_shares(path: Path, shares: NDArray[np.floating], grid: Grid, frame: Frame) -> None:
    """Write numbers between 0 and 1 as NIfTI-1, stored as bytes with the scale that they need.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    shares : (X, Y, Z, C) float
    grid : Grid
    frame : {"native", "MNI"}
    """
    image = nib.Nifti1Image(shares, grid.affine)
    image.set_data_dtype(np.uint8)
    _save(image, path, grid, frame)


def _save(image: nib.Nifti1Image, path: Path, grid: Grid, frame: Frame) -> None:
    image.set_sform(grid.affine, _FORM_CODE[frame])
    image.set_qform(grid.affine, _FORM_CODE[frame])
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table of tab-separated values; the first row names the columns."""
    write_text(path, separated(list(rows), "\t"))


def separated(rows: Sequence[Mapping[str, object]], delimiter: str) -> str:
    """Rows as text with a delimiter between values; the first row names the columns."""
    stream = StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table of tab-separated values, text as written."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def write_label_table(path: Path) -> None:
    """Write the BIDS table of the labels: index, name, abbreviation, color."""
    write_rows(
        path,
        (
            {"index": label.index, "name": label.name, "abbreviation": label.abbreviation, "color": label.color}
            for label in LABELS
        ),
    )
