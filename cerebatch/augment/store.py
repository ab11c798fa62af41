"""Reading a finished augmentation set: its columns are read when it is opened, its voxels when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from cerebatch.augment.layout import ATLAS, ATLAS_COLUMNS, COLUMNS, DONE, open_set
from cerebatch.errors import LibraryError
from cerebatch.library.layout import CONTRASTS, FILL, array_of, read_column
from cerebatch.space import Grid, LabelMap, Volume, cerebellum_box
from cerebatch.tissue import Contrast

_AGAIN = "Run the command that made it again; it makes what is missing."


@dataclass(frozen=True)
class AugmentedSet:
    """A finished augmentation set. Voxels stay on disk; the handle can travel to other processes.

    Attributes
    ----------
    path : Path
    resolution : float
        Voxel edge in millimetres.
    digest : str
        Changes with the content of any case.
    names : (N,) tuple of str
    columns : dict
        Name of each of `layout.COLUMNS` -> its N values.
    """

    path: Path
    resolution: float
    digest: str
    names: tuple[str, ...]
    columns: dict[str, list[Any]]

    @cached_property
    def grid(self) -> Grid:
        """The cerebellum box."""
        return cerebellum_box(self.resolution)

    @cached_property
    def usable(self) -> list[int]:
        """Indices of the cases that are done; the others were set aside or failed."""
        return [index for index, status in enumerate(self.columns["status"]) if status == DONE]

    @property
    def has_atlas(self) -> bool:
        """Whether the pass for the atlas channel has finished."""
        attributes: dict[str, Any] = dict(self._group.attrs)
        return bool(attributes.get(ATLAS, {}).get("complete"))

    def image(self, index: int, contrast: Contrast) -> Volume:
        """Image of a case, (X, Y, Z) float32."""
        return self.stored("image", index, CONTRASTS.index(contrast)).astype(np.float32)

    def tissue(self, index: int) -> NDArray[np.uint8]:
        """Share of each tissue in 1/255, (T, X, Y, Z)."""
        return self.stored("tissue_share", index)

    def dseg(self, index: int) -> LabelMap:
        """Label map of a case, (X, Y, Z), the arbor vitae counted as white matter."""
        return self.stored("dseg", index)

    def lobules(self, index: int) -> LabelMap:
        """Label map of a case, (X, Y, Z), the arbor vitae counted with its lobule."""
        return self.stored("lobules", index)

    def atlas(self, index: int) -> LabelMap:
        """Subject-specific atlas of a case, (X, Y, Z), voted by people other than its source."""
        return self.stored(ATLAS, index)

    def stored(self, variable: str, index: int, *where: int | slice) -> NDArray[Any]:
        """Voxels of one case as stored.

        Parameters
        ----------
        variable : str
        index : int
        *where : int or slice
            Channel and block; what is left out is taken whole. Only the chunks that hold the block are read.

        Raises
        ------
        LibraryError
            The case was not made, or its file is damaged.
        """
        name = self.names[index]
        try:
            values = np.asarray(array_of(self._group, variable)[(index, *where)])
        except Exception as error:  # each codec has errors of its own
            raise self._broken(name, f"a damaged {variable} ({error})") from error
        corner, fill = values[..., 0, 0, 0], FILL[values.dtype.name]
        # The share of one tissue may well be 255 / 255 at a corner; of all together it cannot.
        telling = variable != "tissue_share" or not where
        if telling and np.all((corner == fill) | (corner != corner)):
            status = self.columns["status"][index]
            raise self._broken(name, f"no {variable}; the case is: {status} {self.columns['reason'][index]}".rstrip())
        return values

    def atlas_columns(self) -> dict[str, list[Any]]:
        """Which cases and people voted for the atlas of each case, and its checksum."""
        return {name: read_column(self._group, name) for name in ATLAS_COLUMNS}

    def dataset(self) -> xr.Dataset:
        """The whole store, read as far as it is asked for."""
        dataset: xr.Dataset = xr.open_zarr(self.path, chunks=None, mask_and_scale=False)
        return dataset

    @cached_property
    def _group(self) -> zarr.Group:
        return open_set(self.path)

    def _broken(self, name: str, found: str) -> LibraryError:
        return LibraryError(self.path, expected=f"the voxels of case {name}", found=found, do=_AGAIN)


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
