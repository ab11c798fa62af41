"""Reading a finished augmentation set: its columns are read when it is opened, its voxels when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import zarr

from cerebatch.errors import LibraryError
from cerebatch.library.augmented.layout import ATLAS, ATLAS_COLUMNS, COLUMNS, DONE, open_set
from cerebatch.library.case_store import CaseStore
from cerebatch.library.layout import read_column
from cerebatch.spatial.space import LabelMap

_AGAIN = "Run the command that made it again; it makes what is missing."


@dataclass(frozen=True)
class AugmentedSet(CaseStore):
    """A finished augmentation set.

    Attributes
    ----------
    columns : dict
        Name of each of `layout.COLUMNS` -> its N values.
    """

    columns: dict[str, list[Any]]

    @cached_property
    def usable(self) -> list[int]:
        """Indices of the cases that are done; the others were set aside or failed."""
        return [index for index, status in enumerate(self.columns["status"]) if status == DONE]

    @property
    def has_atlas(self) -> bool:
        """Whether the pass for the atlas channel has finished."""
        attributes: dict[str, Any] = dict(self._group.attrs)
        return bool(attributes.get(ATLAS, {}).get("complete"))

    def atlas(self, index: int) -> LabelMap:
        """Subject-specific atlas of a case, (X, Y, Z), voted by people other than its source."""
        return self.stored(ATLAS, index)

    def atlas_columns(self) -> dict[str, list[Any]]:
        """Which cases and people voted for the atlas of each case, and its checksum."""
        return {name: read_column(self._group, name) for name in ATLAS_COLUMNS}

    @cached_property
    def _group(self) -> zarr.Group:
        return open_set(self.path)

    @property
    def _mend(self) -> str:
        return _AGAIN

    def _absent(self, variable: str, index: int) -> str:
        status = self.columns["status"][index]
        return f"no {variable}; the case is: {status} {self.columns['reason'][index]}".rstrip()


def open_augmented(path: Path) -> AugmentedSet:
    """Open a finished set; reads no voxels.

    Raises
    ------
    LibraryError
        No set, or an unfinished one.
    """
    group = open_set(path)
    attributes: dict[str, Any] = dict(group.attrs)
    if not attributes["complete"]:
        raise LibraryError(path, expected="a finished augmentation set", found="an unfinished one", do=_AGAIN)
    return AugmentedSet(
        path=path,
        resolution=attributes["resolution_mm"],
        digest=attributes["digest"],
        names=tuple(read_column(group, "name")),
        columns={name: read_column(group, name) for name in COLUMNS},
    )
