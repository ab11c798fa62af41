"""How an augmentation set lies on disk: the library's variables over its cases, a shard a case, and its own columns.

Shards lie flat, one file a case and variable, so that a set of thousands holds thousands of files. Inside a shard are
chunks of `CHUNK` voxels, so that a random patch does not cost a whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from cerebatch.errors import LibraryError
from cerebatch.labels import LABELS
from cerebatch.library.layout import FILL, compressors, variables
from cerebatch.spatial.space import RESOLUTIONS, Grid, cerebellum_box

SCHEMA = "cerebatch augmentation"
VERSION = 2
"""Raised when a set of the old layout can no longer be read."""

CHUNK = 48
"""Edge of a chunk inside a shard, voxels; divides every side of the box at 1 and 0.5 mm."""

COLUMNS = {
    "status": "string", "reason": "string",
    "source": "string", "person": "string", "head": "string", "mirrored": "bool", "rendered": "bool",
    "target": "string", "target_person": "string", "target_made_from": "string", "distance": "float64",
    "similarity_before": "float64", "similarity_after": "float64",
    "jacobian_min": "float64", "jacobian_p01": "float64", "jacobian_p99": "float64",
    "folded_share": "float64", "face_voxels": "int64",
    "seed": "int64", "tool": "string", "tool_version": "string", "command": "string", "sha256": "string",
}  # fmt: skip
"""Type of each variable over the cases, their names apart."""

VOLUMES = ("volume_before_cm3", "volume_after_cm3")
"""Variables over cases and structures, float64."""

DONE, SET_ASIDE, FAILED = "done", "set aside", "failed"
"""Statuses: usable; made, but beyond a limit; not made."""

ATLAS = "atlas"
"""Variable of the atlas channel, there once that pass has begun."""
ATLAS_COLUMNS = {"atlas_cases": "string", "atlas_persons": "string", "atlas_sha256": "string"}

EMPTY: dict[str, Any] = {"string": "", "bool": False, "float64": float("nan"), "int64": -1}
"""What stands in a column where nothing is known."""


def open_set(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The group of an augmentation set, finished or not.

    Raises
    ------
    LibraryError
        No Zarr store, none of this schema and version, on another grid, or without one of its arrays.
    """
    expected, do = "an augmentation set", "Give the folder that `cerebatch augment LIBRARY TARGETS OUT.zarr` made."
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"no Zarr store ({error})" if path.exists() else "no such folder"
        raise LibraryError(path, expected=expected, found=found, do=do) from error
    attributes: dict[str, Any] = dict(group.attrs)
    schema, version, resolution = (attributes.get(key) for key in ("schema", "version", "resolution_mm"))
    if (schema, version) != (SCHEMA, VERSION) or str(resolution) not in RESOLUTIONS:
        raise LibraryError(
            path,
            expected=f"a Zarr store of schema {SCHEMA!r}, version {VERSION}",
            found=f"schema {schema!r}, version {version}, {resolution} mm",
            do=do,
        )
    names = ("name", *((*COLUMNS, *VOLUMES) if attributes.get("complete") else ()))
    absent = [name for name in (*variables(grid_of(group)), *names) if not isinstance(group.get(name), zarr.Array)]
    if absent:
        raise LibraryError(path, expected=f"the arrays of {expected}", found=f"none named {', '.join(absent)}", do=do)
    return group


def grid_of(group: zarr.Group) -> Grid:
    """The cerebellum box that a set lies on."""
    resolution: Any = group.attrs["resolution_mm"]
    return cerebellum_box(resolution)


def add_voxels(group: zarr.Group, name: str, cases: int, dimensions: Sequence[str], shape: Sequence[int],
               dtype: str) -> None:  # fmt: skip
    """Make an empty array over cases, a shard a case.

    Parameters
    ----------
    group : zarr.Group
    name : str
    cases : int
    dimensions : sequence of str
        Of one case.
    shape : sequence of int
        Of one case; its last three sides are space, those before are channels.
    dtype : str
    """
    inner = [1] * (len(shape) - 3) + [CHUNK if side % CHUNK == 0 else side for side in shape[-3:]]
    group.create_array(
        name,
        shape=(cases, *shape),
        dtype=dtype,
        chunks=(1, *inner),
        shards=(1, *shape),
        compressors=compressors(dtype),
        fill_value=FILL[dtype],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("case", *dimensions),
        overwrite=True,
    )


def write_volumes(group: zarr.Group, name: str, rows: Sequence[Sequence[float]]) -> None:
    """Write volumes over cases and structures, cm3, all in one chunk."""
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(LABELS))
    array = group.create_array(
        name, shape=values.shape, chunks=values.shape, dtype="float64", dimension_names=("case", "structure"),
        overwrite=True,
    )  # fmt: skip
    array[...] = values
