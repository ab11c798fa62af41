"""Voxels of the cases of a store, read when they are asked for: what libraries and augmentation sets have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from cerebatch.errors import LibraryError
from cerebatch.intensity.tissue import Contrast
from cerebatch.library.layout import CONTRASTS, FILL, Voxels, array_of, variables
from cerebatch.spatial.space import Grid, LabelMap, Volume, cerebellum_box


@dataclass(frozen=True)
class CaseStore(ABC):
    """A finished store of cases. Voxels stay on disk; the handle can travel to other processes.

    Attributes
    ----------
    path : Path
    resolution : float
        Voxel edge in millimetres.
    digest : str
        Changes with the content of any case.
    names : (N,) tuple of str
    """

    path: Path
    resolution: float
    digest: str
    names: tuple[str, ...]

    @cached_property
    def grid(self) -> Grid:
        """The cerebellum box."""
        return cerebellum_box(self.resolution)

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

    def stored(self, variable: str, index: int, *where: int | slice) -> NDArray[Any]:
        """Voxels of one case as stored.

        Parameters
        ----------
        variable : str
            Name in the store.
        index : int
            Of the case.
        *where : int or slice
            Channel and block; what is left out is taken whole. Only the chunks that hold the block are read.

        Raises
        ------
        LibraryError
            The file of the case is missing or damaged.
        """
        try:
            values = np.asarray(array_of(self._group, variable)[(index, *where)])
        except Exception as error:  # each codec has errors of its own
            raise self._broken(index, f"a damaged {variable} of case {self.names[index]} ({error})") from error
        corner, fill = values[..., 0, 0, 0], FILL[values.dtype.name]
        # The share of one tissue may well be 255 / 255 at a corner; of all together it cannot.
        telling = variable != "tissue_share" or not where
        if telling and np.all((corner == fill) | (corner != corner)):
            raise self._broken(index, self._absent(variable, index))
        return values

    def read_back(self, index: int) -> tuple[Voxels, list[str]]:
        """All voxels of a case that can be read, by variable, and what is wrong with the others."""
        voxels: Voxels = {}
        problems = []
        for variable in variables(self.grid):
            try:
                voxels[variable] = self.stored(variable, index)
            except LibraryError as error:
                problems.append(error.found)
        return voxels, problems

    def dataset(self) -> xr.Dataset:
        """The whole store, read as far as it is asked for."""
        dataset: xr.Dataset = xr.open_zarr(self.path, chunks=None, mask_and_scale=False)
        return dataset

    @property
    @abstractmethod
    def _group(self) -> zarr.Group:
        """The open store."""

    @property
    @abstractmethod
    def _mend(self) -> str:
        """What to do about a case that cannot be read."""

    def _absent(self, variable: str, index: int) -> str:
        return f"no {variable} of case {self.names[index]}"

    def _broken(self, index: int, found: str) -> LibraryError:
        return LibraryError(self.path, expected=f"the voxels of case {self.names[index]}", found=found, do=self._mend)
