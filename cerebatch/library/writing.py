"""Writing a library: a store is created for a known list of cases, filled by any number of processes, then finished.

A build that was killed writes those cases again that have no record in the store.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ZarrUserWarning

import cerebatch
from cerebatch.errors import LibraryError
from cerebatch.io.atomic import folder_made_whole, write_text
from cerebatch.library.case import LabelledCase
from cerebatch.library.checks import library_digest, voxels_sha256, wrong_shapes, wrong_voxels
from cerebatch.library.layout import (
    BUILDING,
    COLUMNS,
    CONTRASTS,
    FILL,
    SCHEMA,
    VERSION,
    Voxels,
    array_of,
    compressors,
    grid_of,
    open_store,
    preview,
    preview_edge,
    read_column,
    read_records,
    variables,
    write_column,
)
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.blocks import cut
from cerebatch.spatial.space import TEMPLATE_SPACE, Grid, LabelMap, Volume, cerebellum_box


def create(path: Path, names: Sequence[str], resolution: float, *, seed: int, licence: str) -> None:
    """Make an empty store.

    Parameters
    ----------
    path : Path
        New folder, ``.zarr``.
    names : (N,) sequence of str
        Of all cases that will be written.
    resolution : float
        Voxel edge of the cerebellum box in millimetres: 1.0, 0.5 or 4.0.
    seed : int
        That the cases are drawn with; kept for the record.
    licence : str
        Of the cases, as it follows from their sources.

    Raises
    ------
    LibraryError
        The path exists, or two cases have the same name.
    """
    if path.exists():
        raise LibraryError(
            path,
            expected="a new folder",
            found="one that exists",
            do="Give another name, delete it, or go on with the unfinished build in it.",
        )
    if not names or len(set(names)) < len(names) or "" in names:
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise LibraryError(
            path,
            expected="names of cases, each different",
            found=f"{len(names)} names, more than once {twice}, empty {list(names).count('')}",
            do="Name every case once.",
        )
    grid = cerebellum_box(resolution)
    with folder_made_whole(path) as made:
        group = zarr.create_group(
            made,
            zarr_format=3,
            attributes={
                "schema": SCHEMA, "version": VERSION, "complete": False, "resolution_mm": float(resolution),
                "affine": grid.affine.tolist(), "space": TEMPLATE_SPACE, "seed": seed, "licence": licence,
                "cerebatch": cerebatch.__version__, "coordinates": "name",
            },
        )  # fmt: skip
        write_column(group, "name", "case", "string", names)
        write_column(group, "contrast", "contrast", "string", CONTRASTS)
        write_column(group, "tissue", "tissue", "string", TISSUES)
        for variable, (dimensions, shape, dtype) in variables(grid).items():
            channels = len(shape) == 4
            group.create_array(
                variable,
                shape=(len(names), *shape),
                dtype=dtype,
                chunks=(1, 1, *shape[1:]) if channels else (1, *shape),
                shards=(1, *shape) if channels else None,
                compressors=compressors(dtype),
                fill_value=FILL[dtype],
                dimension_names=("case", *dimensions),
            )
        (made / BUILDING).mkdir()


def write_case(path: Path, index: int, case: LabelledCase) -> None:
    """Write one case into an unfinished store; different cases may be written by different processes at once.

    Parameters
    ----------
    path : Path
    index : int
        Place of the case's name in the list that the store was made for.
    case : LabelledCase

    Raises
    ------
    LibraryError
        The store is finished, expects another case there, or the case has wrong shapes, images that are not
        finite, codes outside the protocol, labels at the faces of the box, or shares that do not add up.
    """
    require_unfinished(path)
    group = open_store(path, mode="r+")
    names = read_column(group, "name")
    do = "Leave this case out or make it again."
    if not 0 <= index < len(names) or names[index] != case.name:
        expected = f"case {names[index]}" if 0 <= index < len(names) else f"an index below {len(names)}"
        raise LibraryError(path, expected=expected, found=f"case {case.name} for index {index}", do=do)
    grid = grid_of(group)
    problems = wrong_shapes(case, grid)
    voxels = {} if problems else as_stored(case, grid)
    problems = problems or wrong_voxels(voxels, case.rendered, grid)
    if problems:
        raise LibraryError(
            path,
            expected=f"a case fit for {grid.shape} voxels",
            found=f"case {case.name}: {'; '.join(problems)}",
            do=do,
        )
    record = path / BUILDING / f"{index}.json"
    record.unlink(missing_ok=True)
    for variable, values in voxels.items():
        array_of(group, variable)[index] = values
    content = {
        "person": case.person, "head": case.head, "twin": case.twin, "mirrored": bool(case.mirrored),
        "rendered": bool(case.rendered), "overlap": float(case.overlap), "visible_share": float(case.visible_share),
        "sources": json.dumps(case.sources), "sha256": voxels_sha256(voxels),
    }  # fmt: skip
    write_text(record, json.dumps(content))


def written(path: Path) -> set[str]:
    """Names of the cases that a store holds completely, finished or not.

    Raises
    ------
    LibraryError
        No store of this schema and version.
    """
    group = open_store(path)
    names = read_column(group, "name")
    return set(names) if group.attrs["complete"] else {names[index] for index in read_records(path)}


def require_unfinished(path: Path) -> None:
    """Refuse a store that is finished, or none of ours.

    Raises
    ------
    LibraryError
    """
    if open_store(path).attrs["complete"]:
        raise LibraryError(
            path,
            expected="an unfinished library",
            found="a finished one",
            do="Give another name to build another library.",
        )


def resume(path: Path, names: Sequence[str], resolution: float) -> set[str]:
    """Names of the cases that an unfinished build of the same cases need not make again.

    Parameters
    ----------
    path : Path
    names : (N,) sequence of str
    resolution : float
        Both as given to `create`.

    Raises
    ------
    LibraryError
        The store is finished, or was created for other cases or another resolution.
    """
    require_unfinished(path)
    group = open_store(path)
    attributes, there = group.attrs, read_column(group, "name")
    if there != list(names) or attributes["resolution_mm"] != resolution:
        other = next((name for name in [*there, *names] if name not in names or name not in there), "another order")
        raise LibraryError(
            path,
            expected=f"an unfinished build of the same {len(names)} cases at {resolution} mm",
            found=f"{len(there)} cases at {attributes['resolution_mm']} mm (first difference: {other})",
            do="Go on with the same maps, heads and settings, or give another name.",
        )
    return written(path)


def finish(path: Path) -> str:
    """Gather what was written and mark the store as complete; doing so twice does no harm.

    Returns
    -------
    digest : str

    Raises
    ------
    LibraryError
        Cases have not been written.
    """
    group = open_store(path, mode="r+")
    names = read_column(group, "name")
    if not group.attrs["complete"]:
        records = read_records(path)
        missing = [name for index, name in enumerate(names) if index not in records]
        if missing:
            raise LibraryError(
                path,
                expected=f"all of {len(names)} cases",
                found=f"{len(missing)} not written: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}",
                do="Run the same build again; it goes on where it stopped.",
            )
        columns: dict[str, list[Any]] = {
            column: [records[index][column] for index in range(len(names))] for column in COLUMNS
        }
        for column, dtype in COLUMNS.items():
            write_column(group, column, "case", dtype, columns[column])
        _write_region(group, grid_of(group), len(names))
        group.attrs.update({"digest": library_digest(group, columns), "complete": True})
    shutil.rmtree(path / BUILDING, ignore_errors=True)
    consolidate(path)
    return str(group.attrs["digest"])


def consolidate(path: Path) -> None:
    """Gather the metadata of all arrays into one file, and sweep what writers that were killed left."""
    for left in path.rglob("*.partial"):
        left.unlink(missing_ok=True)
    with warnings.catch_warnings():
        # Zarr reads it everywhere since 3.0 and warns that the specification does not have it yet.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(path, zarr_format=3)


class Voxelised(Protocol):
    """What has the voxels of a case: `case.LabelledCase`, or one that was bent."""

    @property
    def image(self) -> Volume:
        """T1w and T2w, (2, X, Y, Z) float32."""

    @property
    def tissue(self) -> NDArray[np.uint8]:
        """Share of each tissue in 1/255, (T, X, Y, Z)."""

    @property
    def dseg(self) -> LabelMap:
        """The arbor vitae counted as white matter, (X, Y, Z)."""

    @property
    def lobules(self) -> LabelMap:
        """The arbor vitae counted with its lobule, (X, Y, Z)."""


def as_stored(case: Voxelised, grid: Grid) -> Voxels:
    """The arrays of a case as a store holds them."""
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, and is refused
        image = case.image.astype(np.float16)
        small = preview(image[CONTRASTS.index("T1w")], float(grid.voxel_sizes_mm[0])).astype(np.float16)
    return {"image": image, "tissue_share": case.tissue, "dseg": case.dseg, "lobules": case.lobules, "preview": small}


def _write_region(group: zarr.Group, grid: Grid, cases: int) -> None:
    resolution = float(grid.voxel_sizes_mm[0])
    dimensions, shape, _ = variables(grid)["preview"]
    region = np.zeros(shape, dtype=bool)
    for index in range(cases):
        dseg = np.asarray(array_of(group, "dseg")[index])
        region |= cut(dseg, preview_edge(resolution)).any(axis=(1, 3, 5))
    array = group.create_array("region", shape=shape, dtype="bool", dimension_names=dimensions, overwrite=True)
    array[...] = region
