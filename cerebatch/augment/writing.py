"""Writing an augmentation set: the driver makes it for a known list of cases, any number of workers fill it.

A worker writes the shards of its own case and nothing else. What it says of the case is a small file of its own, which
the driver gathers into columns at the end. So a run that was killed has lost nothing but what was at work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr

import cerebatch
from cerebatch.augment.warp import Bent
from cerebatch.errors import LibraryError
from cerebatch.io.atomic import folder_made_whole
from cerebatch.labels import LABELS
from cerebatch.library.augmented.layout import (
    COLUMNS,
    EMPTY,
    FAILED,
    SCHEMA,
    VERSION,
    VOLUMES,
    add_voxels,
    grid_of,
    open_set,
    write_volumes,
)
from cerebatch.library.checks import voxels_sha256, wrong_voxels
from cerebatch.library.layout import CONTRASTS, array_of, read_column, variables, write_column
from cerebatch.library.tissues import TISSUES
from cerebatch.library.writing import as_stored, consolidate
from cerebatch.spatial.space import TEMPLATE_SPACE, cerebellum_box


def create(path: Path, names: Sequence[str], resolution: float, **decided: Any) -> None:
    """Make an empty set, or see that the one that is there was begun for the same.

    Parameters
    ----------
    path : Path
        Folder, ``.zarr``.
    names : (N,) sequence of str
        Of all cases, one for each target.
    resolution : float
        Voxel edge of the cerebellum box in millimetres.
    **decided : str, int or bool
        What else decides the content: library, seed and such; becomes attributes of the store.

    Raises
    ------
    LibraryError
        Another set is there, or no set.
    """
    if path.exists():
        _require_same(path, names, resolution, decided)
        return
    grid = cerebellum_box(resolution)
    with folder_made_whole(path) as made:
        group = zarr.create_group(
            made,
            zarr_format=3,
            attributes={
                "schema": SCHEMA, "version": VERSION, "complete": False, "resolution_mm": float(resolution),
                "affine": grid.affine.tolist(), "space": TEMPLATE_SPACE, "cerebatch": cerebatch.__version__,
                "coordinates": "name", "decided": decided,
            },
        )  # fmt: skip
        write_column(group, "name", "case", "string", names)
        write_column(group, "contrast", "contrast", "string", CONTRASTS)
        write_column(group, "tissue", "tissue", "string", TISSUES)
        write_column(group, "structure", "structure", "string", [label.name for label in LABELS])
        for variable, (dimensions, shape, dtype) in variables(grid).items():
            add_voxels(group, variable, len(names), dimensions, shape, dtype)


def _require_same(path: Path, names: Sequence[str], resolution: float, decided: Mapping[str, Any]) -> None:
    group = open_set(path)
    attributes: dict[str, Any] = dict(group.attrs)
    there = {"resolution_mm": attributes["resolution_mm"], **attributes["decided"]}
    wanted = {"resolution_mm": float(resolution), **decided}
    other = [f"{key} {there.get(key)} instead of {wanted[key]}" for key in wanted if there.get(key) != wanted[key]]
    begun = read_column(group, "name")
    if begun != list(names):
        differs = sorted(set(begun) ^ set(names))
        other.append(
            f"{len(begun)} cases instead of {len(names)}, such as {', '.join(differs[:3]) or 'in other order'}"
        )
    if other:
        raise LibraryError(
            path,
            expected="a set begun with the same library, targets and settings",
            found="; ".join(other),
            do="Give another name, or call it as it was begun.",
        )


def write_voxels(path: Path, index: int, bent: Bent, rendered: bool) -> str:
    """Write the shards of one case; different cases may be written by different processes at once.

    Parameters
    ----------
    path : Path
    index : int
        Of the case.
    bent : Bent
    rendered : bool
        False where the labelled case is a real scan and has no tissue shares.

    Returns
    -------
    sha256 : str
        Of the voxels as stored.

    Raises
    ------
    LibraryError
        The voxels are not fit: not finite, codes outside the protocol, labels at the faces.
    """
    group = open_set(path, mode="r+")
    grid = grid_of(group)
    voxels = as_stored(bent, grid)
    # A case that is kept although it was set aside may have labels at the faces: that is told in its checks.
    problems = [problem for problem in wrong_voxels(voxels, rendered, grid) if "faces" not in problem]
    if problems:
        raise LibraryError(
            path, expected="a case fit to be stored", found="; ".join(problems), do="Look at the target."
        )
    for variable, values in voxels.items():
        array_of(group, variable)[index] = values
    return voxels_sha256(voxels)


def finish(path: Path, told: Mapping[int, Mapping[str, Any]], failed: Mapping[int, str]) -> str:
    """Gather what is told of the cases into columns and mark the set as complete; may be done again.

    Parameters
    ----------
    path : Path
    told : mapping of index to mapping
        `COLUMNS` and `VOLUMES` of each case that was made.
    failed : mapping of index to str
        Why the others were not.

    Returns
    -------
    digest : str
        Of all columns, which hold the checksum of each case.

    Raises
    ------
    LibraryError
        Of some case neither is known.
    """
    group = open_set(path, mode="r+")
    names = read_column(group, "name")
    unknown = [name for index, name in enumerate(names) if index not in told and index not in failed]
    if unknown:
        raise LibraryError(
            path,
            expected=f"word of all {len(names)} cases",
            found=f"none of {len(unknown)}: {', '.join(unknown[:5])}",
            do="Run the same command again; it goes on where it stopped.",
        )
    rows = [told[index] if index in told else _failed(failed[index]) for index in range(len(names))]
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in COLUMNS}
    volumes = {name: [row[name] for row in rows] for name in VOLUMES}
    for name, dtype in COLUMNS.items():
        write_column(group, name, "case", dtype, columns[name])
    for name in VOLUMES:
        write_volumes(group, name, volumes[name])
    digest = set_digest(names, columns, volumes)
    group.attrs.update({"digest": digest, "complete": True})
    consolidate(path)
    return digest


def set_digest(names: Sequence[str], columns: Mapping[str, Any], volumes: Mapping[str, Any]) -> str:
    """Digest of what is told of the cases; changes with the content of any."""
    content = json.dumps([VERSION, list(names), columns, volumes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _failed(reason: str) -> dict[str, Any]:
    row = {name: EMPTY[dtype] for name, dtype in COLUMNS.items()}
    return row | {name: [float("nan")] * len(LABELS) for name in VOLUMES} | {"status": FAILED, "reason": reason}
