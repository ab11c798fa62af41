"""The mean image of a library, and what brings each case onto it, as they lie in the store.

A library works without them; with them an atlas needs one registration instead of twenty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from cerebatch.errors import LibraryError
from cerebatch.library.layout import array_of, compressors, open_store
from cerebatch.library.store import Library
from cerebatch.library.writing import consolidate
from cerebatch.spatial.space import Field, Volume

_MEAN, _TO_MEAN = "mean", "to_mean"


def write_mean(path: Path, mean: Volume, fields: Iterable[tuple[int, Field]]) -> str:
    """Write a mean image and the fields of cases, in place of earlier ones; until all are there the store has none.

    Parameters
    ----------
    path : Path
        A finished library.
    mean : (x, y, z) float32
        On voxels of 1 mm, or the library's where these are larger.
    fields : iterable of (int, (x, y, z, 3) float32)
        Index of a case that is no mirrored twin, and its field in voxels of the mean: the case at ``index + field``
        belongs to the mean at ``index``.

    Returns
    -------
    digest : str
        Of the mean and of the fields.
    """
    group = open_store(path, mode="r+")
    group.attrs.pop("mean_digest", None)
    space = ("rx", "ry", "rz")
    stored = group.create_array(
        _MEAN, shape=mean.shape, chunks=mean.shape, dtype="float32", dimension_names=space, overwrite=True
    )
    stored[...] = mean
    to_mean = group.create_array(
        _TO_MEAN,
        shape=(*array_of(group, "name").shape, *mean.shape, 3),
        chunks=(1, *mean.shape, 3),
        dtype="float16",
        compressors=compressors("float16"),
        fill_value=np.nan,
        dimension_names=("case", *space, "component"),
        overwrite=True,
    )
    for index, field in fields:
        to_mean[index] = field.astype(np.float16)
    digest = _digest(stored, to_mean)
    group.attrs["mean_digest"] = digest
    consolidate(path)
    return digest


def mean_digest(path: Path) -> str:
    """Digest of a library's mean and fields.

    Raises
    ------
    LibraryError
        It has none.
    """
    return str(_with_mean(path).attrs["mean_digest"])


def read_mean(library: Library) -> Volume:
    """The mean image, (x, y, z) float32.

    Raises
    ------
    LibraryError
        The library has none.
    """
    return np.asarray(array_of(_with_mean(library.path), _MEAN)[...], dtype=np.float32)


def read_to_mean(library: Library, index: int) -> Field:
    """The field of a case, (x, y, z, 3) float32, in voxels of the mean; a twin's is its original's, mirrored.

    Raises
    ------
    LibraryError
        The library has no mean, or none to which this case was brought.
    """
    original = library.names.index(library.twins[index]) if library.mirrored[index] else index
    field = np.asarray(array_of(_with_mean(library.path), _TO_MEAN)[original], dtype=np.float32)
    if np.isnan(field).any():
        raise LibraryError(
            library.path,
            expected=f"the field that brings {library.names[index]} onto the mean",
            found="none",
            do="Make the mean again: `cerebatch library mean`.",
        )
    return mirrored_field(field) if library.mirrored[index] else field


def mean_problems(library: Library) -> list[str]:
    """What is wrong with the mean and the fields of a library, as phrases; a library without them has none."""
    group = open_store(library.path)
    if "mean_digest" not in group.attrs:
        return []
    try:
        found = _digest(array_of(group, _MEAN), array_of(group, _TO_MEAN))
    except Exception as error:  # each codec has errors of its own
        return [f"the mean or a field that leads from it is damaged ({error})"]
    return [] if found == group.attrs["mean_digest"] else ["the mean and its fields are not what was written"]


def _digest(mean: zarr.Array[Any], to_mean: zarr.Array[Any]) -> str:
    content = hashlib.sha256(np.asarray(mean[...]).tobytes())
    for index in range(to_mean.shape[0]):
        content.update(np.asarray(to_mean[index]).tobytes())
    return content.hexdigest()


def mirrored_field(field: Field) -> Field:
    """The field of the mirrored image, (x, y, z, 3)."""
    return np.ascontiguousarray(field[::-1] * np.array([-1, 1, 1], dtype=np.float32))


def _with_mean(path: Path) -> zarr.Group:
    group = open_store(path)
    if "mean_digest" not in group.attrs:
        raise LibraryError(
            path,
            expected="a library with a mean image, onto which every case was brought",
            found="one without",
            do="Run `cerebatch library mean` on it, or register by greedy.",
        )
    return group
