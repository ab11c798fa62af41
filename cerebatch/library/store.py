"""Reading a finished library: its columns are read when it is opened, its voxels when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from cerebatch.errors import LibraryError
from cerebatch.library.case_store import CaseStore
from cerebatch.library.layout import COLUMNS, REBUILD, array_of, grid_of, open_store, read_column, read_records


@dataclass(frozen=True)
class Library(CaseStore):
    """A finished library.

    Attributes
    ----------
    persons, heads, twins : (N,) tuple of str
    mirrored, rendered : (N,) tuple of bool
    """

    persons: tuple[str, ...]
    heads: tuple[str, ...]
    twins: tuple[str, ...]
    mirrored: tuple[bool, ...]
    rendered: tuple[bool, ...]

    def previews(self) -> NDArray[np.float32]:
        """The T1w of every case in blocks of `PREVIEW_MM`, (N, px, py, pz)."""
        return np.stack([self.stored("preview", index) for index in range(len(self.names))], dtype=np.float32)

    def region(self) -> NDArray[np.bool_]:
        """Blocks of `previews` that hold a label in any case, (px, py, pz)."""
        return np.asarray(array_of(self._group, "region")[...], dtype=bool)

    @cached_property
    def _group(self) -> zarr.Group:
        return open_store(self.path)

    @property
    def _mend(self) -> str:
        return REBUILD


def open_library(path: Path | str) -> Library:
    """Open a finished library; reads no voxels.

    Raises
    ------
    LibraryError
        No Zarr store, no library, one of a newer cerebatch, unfinished, or on a grid that is not the cerebellum box.
    """
    path = Path(path)
    group = open_store(path)
    if not group.attrs["complete"]:
        raise LibraryError(
            path,
            expected="a finished library",
            found=f"{len(read_records(path))} of {len(read_column(group, 'name'))} cases",
            do="Run the same build again; it goes on where it stopped.",
        )
    columns = {column: tuple(read_column(group, column)) for column in ("name", *COLUMNS)}
    return Library(
        path=path,
        resolution=float(grid_of(group).voxel_sizes_mm[0]),
        digest=str(group.attrs["digest"]),
        names=columns["name"],
        persons=columns["person"],
        heads=columns["head"],
        twins=columns["twin"],
        mirrored=columns["mirrored"],
        rendered=columns["rendered"],
    )


def info(path: Path) -> dict[str, Any]:
    """Summary of a finished library.

    Returns
    -------
    summary : dict
        Counts of cases, persons, heads, mirrored and rendered cases; resolution in mm; gigabytes on disk; median
        overlap; median and range of the visible share where it is known, else NaN; licence, seed, versions and digest.
    """
    library = open_library(path)
    group = open_store(path)
    overlap, visible = (np.array(read_column(group, column)) for column in ("overlap", "visible_share"))
    known = visible if np.isnan(visible).all() else visible[~np.isnan(visible)]
    return {
        "cases": len(library.names),
        "persons": len(set(library.persons)),
        "heads": len(set(library.heads)),
        "mirrored": sum(library.mirrored),
        "rendered": sum(library.rendered),
        "resolution_mm": library.resolution,
        "gigabytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e9,
        "overlap_median": float(np.median(overlap)),
        "visible_share_median": float(np.median(known)),
        "visible_share_range": (float(known.min()), float(known.max())),
        "licence": group.attrs["licence"],
        "seed": group.attrs["seed"],
        "version": group.attrs["version"],
        "cerebatch": group.attrs["cerebatch"],
        "digest": library.digest,
    }
