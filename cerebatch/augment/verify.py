"""Finding damage in a finished augmentation set: every voxel is read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cerebatch.augment.writing import set_digest
from cerebatch.errors import LibraryError
from cerebatch.labels import N_CLASSES
from cerebatch.library.augmented.layout import COLUMNS, DONE, VOLUMES, open_set
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.checks import voxels_sha256, wrong_voxels
from cerebatch.library.layout import Voxels, array_of, read_column


def verify(path: Path) -> list[str]:
    """Read everything back and tell what is wrong, a sentence a problem; none if all is well.

    Set aside and failed cases are no problem: they are told in the columns. Checked are the digest of the columns; of
    each usable case the checksum of its voxels, its codes, its faces, its volumes; and of each atlas its checksum, its
    codes and that nobody voted who is the case's own source.

    Raises
    ------
    LibraryError
        The set cannot be opened.
    """
    store = open_augmented(path)
    group = open_set(path)
    columns = {name: read_column(group, name) for name in COLUMNS}
    volumes = {name: np.asarray(array_of(group, name)[...]).tolist() for name in VOLUMES}
    found = []
    if store.digest != set_digest(store.names, columns, volumes):
        found.append("the digest of the set is not that of its cases")
    for index in store.usable:
        found += [f"{store.names[index]}: {problem}" for problem in _of_case(store, index, volumes)]
    if store.has_atlas:
        found += _of_atlases(store)
    return found


def _of_case(store: AugmentedSet, index: int, volumes: dict[str, list[list[float]]]) -> Iterator[str]:
    voxels, problems = store.read_back(index)
    yield from problems
    if problems:
        return
    yield from wrong_voxels(voxels, store.columns["rendered"][index], store.grid)
    if voxels_sha256(voxels) != store.columns["sha256"][index]:
        yield "the content is not what was written"
    counts = np.bincount(voxels["dseg"].ravel(), minlength=N_CLASSES)[1:N_CLASSES]
    if not np.allclose(counts * store.grid.voxel_volume_mm3 / 1000, volumes["volume_after_cm3"][index]):
        yield "the volumes are not those of the labels"
    lost = (np.array(volumes["volume_before_cm3"][index]) == 0) & (counts > 0)
    if lost.any():
        yield f"codes {(np.flatnonzero(lost) + 1).tolist()}, which its source does not have"


def _of_atlases(store: AugmentedSet) -> Iterator[str]:
    told = store.atlas_columns()
    for index in store.usable:
        name = store.names[index]
        try:
            voxels: Voxels = {"atlas": store.atlas(index)}
        except LibraryError as error:
            yield f"{name}: {error.found}"
            continue
        if voxels_sha256(voxels) != told["atlas_sha256"][index]:
            yield f"{name}: the atlas is not what was written"
        if voxels["atlas"].max() >= N_CLASSES:
            yield f"{name}: an atlas with code {voxels['atlas'].max()}, outside the protocol"
        if store.columns["person"][index] in told["atlas_persons"][index].split(","):
            yield f"{name}: its own source {store.columns['person'][index]} voted for its atlas"


def summary(path: Path) -> dict[str, int]:
    """How many cases have each status."""
    statuses = open_augmented(path).columns["status"]
    return {DONE: 0} | {status: statuses.count(status) for status in sorted(set(statuses))}
