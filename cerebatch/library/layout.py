"""How a library lies on disk: one Zarr store, a shard a case.

Until a store is finished, a record in `building/` says of each case that all its voxels are on disk. After that the
records are columns, arrays over `case`, each in one chunk: opening takes a dozen small files, however many cases
there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from cerebatch.errors import LibraryError
from cerebatch.intensity.tissue import Contrast
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.blocks import cut
from cerebatch.spatial.space import RESOLUTIONS, Grid, Volume, cerebellum_box

SCHEMA = "cerebatch library"
VERSION = 1
"""Raised when a store of the old layout can no longer be read."""

CONTRASTS: tuple[Contrast, ...] = get_args(Contrast)
PREVIEW_MM = 2.0

COLUMNS = {
    "person": "string", "head": "string", "twin": "string", "mirrored": "bool", "rendered": "bool",
    "overlap": "float64", "visible_share": "float64", "sources": "string", "sha256": "string",
}  # fmt: skip
"""Type of each variable over the cases, their names apart."""

FILL = {"float16": np.nan, "uint8": 255}
"""What no written case holds throughout: what is missing shows."""

BUILDING = "building"
"""Folder of the records in an unfinished store."""

REBUILD = "Build the library anew under another name with `cerebatch library`."

Voxels = dict[str, NDArray[Any]]
"""The arrays of one case as stored, by their names in the store."""


def open_store(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The group of a store of this schema and version, finished or not.

    Raises
    ------
    LibraryError
        No Zarr store, no library, one of another version, on another grid, or without one of its arrays.
    """
    build = "Give the folder of a library, or build one with `cerebatch library`."
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"no Zarr store ({error})" if path.exists() else "no such folder"
        raise LibraryError(path, expected="a library of labelled cases", found=found, do=build) from error
    attributes: dict[str, Any] = dict(group.attrs)
    if attributes.get("schema") != SCHEMA:
        found = f"a Zarr store of schema {attributes.get('schema')!r}"
        raise LibraryError(path, expected=f"a Zarr store of schema {SCHEMA!r}", found=found, do=build)
    version = attributes.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise LibraryError(
            path,
            expected=f"version {VERSION} of the library's layout",
            found=f"version {version}",
            do="It was made by a newer cerebatch: update yours." if newer else REBUILD,
        )
    resolution: Any = attributes.get("resolution_mm")
    grid = cerebellum_box(resolution) if str(resolution) in RESOLUTIONS else None
    layout = {} if grid is None else variables(grid)
    if grid is None or not np.array_equal(attributes["affine"], grid.affine):
        raise LibraryError(
            path,
            expected=f"the cerebellum box at {', '.join(RESOLUTIONS)} mm",
            found=f"resolution {resolution} mm, affine {attributes.get('affine')}",
            do=REBUILD,
        )
    names = ("name", *(COLUMNS if attributes.get("complete") else ()))
    absent = [name for name in (*layout, *names) if not isinstance(group.get(name), zarr.Array)]
    if absent:
        raise LibraryError(
            path, expected=f"the arrays of a {SCHEMA}", found=f"none named {', '.join(absent)}", do=REBUILD
        )
    return group


def variables(grid: Grid) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], str]]:
    """Dimensions, shape and type of one case in each variable of voxels."""
    edge = preview_edge(float(grid.voxel_sizes_mm[0]))
    space = ("x", "y", "z")
    return {
        "image": (("contrast", *space), (len(CONTRASTS), *grid.shape), "float16"),
        "tissue_share": (("tissue", *space), (len(TISSUES), *grid.shape), "uint8"),
        "dseg": (space, grid.shape, "uint8"),
        "lobules": (space, grid.shape, "uint8"),
        "preview": (("px", "py", "pz"), tuple(n // edge for n in grid.shape), "float16"),
    }


def grid_of(group: zarr.Group) -> Grid:
    """The cerebellum box that a store is made for."""
    attributes: dict[str, Any] = dict(group.attrs)
    return cerebellum_box(attributes["resolution_mm"])


def compressors(dtype: str) -> list[Any]:
    """How chunks of voxels are packed and checked."""
    shuffle: Literal["shuffle", "noshuffle"] = "shuffle" if dtype == "float16" else "noshuffle"
    return [BloscCodec(cname="zstd", clevel=3, shuffle=shuffle), Crc32cCodec()]


def read_column(group: zarr.Group, name: str) -> list[Any]:
    """Values of one variable over the cases."""
    values: list[Any] = np.asarray(array_of(group, name)[:]).tolist()
    return values


def write_column(group: zarr.Group, name: str, dimension: str, dtype: str, values: Sequence[Any]) -> None:
    """Write one variable over one dimension, all of it in one chunk."""
    column = group.create_array(
        name, shape=len(values), chunks=(len(values),), dtype=dtype, dimension_names=(dimension,), overwrite=True
    )
    column[:] = np.array(values, dtype=object if dtype == "string" else dtype)


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """The array of a variable; reads no voxels."""
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def read_records(path: Path) -> dict[int, dict[str, Any]]:
    """What is known of the written cases of an unfinished store, by their indices."""
    return {int(file.stem): json.loads(file.read_text()) for file in (path / BUILDING).glob("*.json")}


def preview(image: NDArray[np.floating], resolution: float) -> Volume:
    """Mean of each block of `PREVIEW_MM`; at coarser resolutions the image itself.

    Parameters
    ----------
    image : (X, Y, Z) float
        On the cerebellum box.
    resolution : float
        Voxel edge in millimetres.

    Returns
    -------
    preview : (px, py, pz) float32
    """
    blocks = cut(image, preview_edge(resolution))
    means: Volume = blocks.mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32)
    return means


def preview_edge(resolution: float) -> int:
    """Voxels along the edge of a block of `PREVIEW_MM`."""
    return max(1, round(PREVIEW_MM / resolution))
