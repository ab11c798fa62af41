"""Heads to draw images of: library cases of 0.5 mm in new shapes, kept on disk before they have a contrast.

A geometry says of each fine voxel which tissue or lobule it is, how far it is from fluid, and what the maps of the
other people say in the same head (from which an atlas is voted). Drawing one takes seconds and an image of it less
than one, so a training draws from a bank of some hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from cerebatch.errors import LibraryError
from cerebatch.io.atomic import written_whole
from cerebatch.labels import LABELS, WHITE_MATTER
from cerebatch.library.store import Library
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.space import LabelMap, cerebellum_box
from cerebatch.training.transforms.deformation import Strength, deformed, random_grid

FINE_MM = 0.5
COARSE_MM = 1.0
LABELLED = 2 * len(TISSUES)
"""Codes from here on are lobules: ``LABELLED + 2 label + (1 in the arbor vitae)``; below are the tissues around."""

DEPTH_MM = 0.1
"""Unit of the stored depth."""

_STRENGTH = Strength(degrees=8.0, scale=0.12, shift_mm=4.0, elastic_mm=((40.0, 3.5), (16.0, 1.5)))
_SIZED, _SIZE = 3, 0.35
"""So many lobules of a geometry at most are made larger or smaller, by up to this share of their volume."""
_SIZED_SMOOTHING_MM = 4.0
_BENT = 0.5


@dataclass(frozen=True)
class Geometry:
    """One head around the cerebellum box.

    Attributes
    ----------
    codes : (X, Y, Z) uint8
        On voxels of `FINE_MM`: an index of `TISSUES`, or a lobule (`LABELLED`).
    depth : (X, Y, Z) uint8
        Distance to the nearest voxel that is no cerebellum, in units of `DEPTH_MM`, 0 outside the cerebellum.
    votes : (V, x, y, z) uint8
        On voxels of `COARSE_MM`: what the maps of other people say in this head, cerebatch codes.
    """

    codes: NDArray[np.uint8]
    depth: NDArray[np.uint8]
    votes: LabelMap

    @property
    def lobules(self) -> LabelMap:
        """Cerebatch codes on the fine voxels, the arbor vitae counted with its lobule."""
        return np.where(self.codes >= LABELLED, (self.codes - LABELLED) // 2, 0).astype(np.uint8)

    @property
    def arbor(self) -> NDArray[np.bool_]:
        """White matter that the library grew inside the lobules, away from their neighbours."""
        return np.asarray((self.codes >= LABELLED) & (self.codes % 2 == 1))


class Geometries:
    """Draws geometries, and keeps them.

    Parameters
    ----------
    library : Library
        Of 0.5 mm.
    folder : Path
        Of the geometries that were drawn; made where it is missing.
    count : int
        How many different ones there are.
    hold_out : tuple of str
        People whose maps are used neither for cases nor for votes.
    bends : tuple of Path
        ``CASE.npz`` of `recipes.own_labels`: displacements that bring a library case onto a real scan. Half of the
        geometries are bent by one of them after they were deformed at random, so that shapes are not those of the
        maps' few people alone.

    Raises
    ------
    LibraryError
        The library has another resolution, or no case of the people that are left.
    """

    def __init__(
        self,
        library: Library,
        folder: Path,
        count: int,
        hold_out: tuple[str, ...] = (),
        bends: tuple[Path, ...] = (),
    ) -> None:
        if library.resolution != FINE_MM:
            raise LibraryError(
                library.path,
                expected=f"a library of {FINE_MM} mm",
                found=f"{library.resolution} mm",
                do=f"Build one with `cerebatch library build --resolution {FINE_MM}`.",
            )
        self.library, self.count = library, count
        self.cases = [k for k, person in enumerate(library.persons) if person not in hold_out and library.rendered[k]]
        if not self.cases:
            raise LibraryError(
                library.path,
                expected=f"rendered cases of people other than {', '.join(hold_out)}",
                found="none",
                do="Correct `hold_out`, or build a library of more people.",
            )
        names = {library.names[k] for k in self.cases} if bends else set()
        self._bends = [path for path in bends if path.stem in names]
        self._folder, self._hold_out = folder, hold_out
        self._case = lru_cache(maxsize=6)(self._read_case)

    def read(self, number: int) -> Geometry:
        """A geometry by its number; drawn, and kept, when it is asked for the first time.

        Parameters
        ----------
        number : int
            0 to `count` - 1; those beyond are for validation.
        """
        path = self._folder / f"{number:06d}.npz"
        if not path.exists():
            self._write(path, self._draw(number))
        with np.load(path) as file:
            return Geometry(file["codes"], file["depth"], file["votes"])

    def _write(self, path: Path, geometry: Geometry) -> None:
        with written_whole(path) as unfinished, unfinished.open("wb") as stream:
            np.savez_compressed(stream, codes=geometry.codes, depth=geometry.depth, votes=geometry.votes)

    def _draw(self, number: int) -> Geometry:
        generator = torch.random.get_rng_state()
        torch.manual_seed(number)
        try:
            case, grid = self._bent() if self._bends and torch.rand(1) < _BENT else self._straight()
        finally:
            torch.random.set_rng_state(generator)
        fine = functional.interpolate(
            grid.permute(0, 4, 1, 2, 3), case.codes.shape, mode="trilinear", align_corners=False
        ).permute(0, 2, 3, 4, 1)
        codes, depth = (_nearest(one[None], fine)[0] for one in (case.codes, case.depth))
        return Geometry(codes, depth, _nearest(case.votes, grid))

    def _straight(self) -> tuple[Geometry, Tensor]:
        case = self._case(self.cases[int(torch.randint(len(self.cases), (1,)))])
        return case, self._grid(case)

    def _bent(self) -> tuple[Geometry, Tensor]:
        path = self._bends[int(torch.randint(len(self._bends), (1,)))]
        case = self._case(self.library.names.index(path.stem))
        with np.load(path) as file:
            field = torch.from_numpy(file["field"].astype(np.float32))
        shape = cerebellum_box(COARSE_MM).shape
        # Sizes of lobules are changed where the case has them; what is bent is what comes of it.
        size = torch.tensor(shape[::-1], dtype=torch.float32)
        straight = functional.affine_grid(torch.eye(3, 4)[None], [1, 1, *shape], align_corners=False)
        bent = straight + (2 * field.flip(-1) / size)[None]
        own = self._grid(case)[0].permute(3, 0, 1, 2)
        return case, deformed(own, bent).permute(1, 2, 3, 0)[None]

    def _grid(self, case: Geometry) -> Tensor:
        """Where each coarse voxel is taken from, as `grid_sample` wants it; some lobules larger or smaller."""
        box = cerebellum_box(COARSE_MM)
        grid = random_grid(box.shape, COARSE_MM, _STRENGTH)
        lobules = case.lobules[::2, ::2, ::2]
        for _ in range(int(torch.randint(_SIZED + 1, (1,)))):
            label = 1 + int(torch.randint(len(LABELS), (1,)))
            volume = 1 + _SIZE * (2 * float(torch.rand(1)) - 1)
            own = (lobules == label).astype(np.float32)
            if label in WHITE_MATTER or not own.any():
                continue
            near = ndimage.gaussian_filter(own, _SIZED_SMOOTHING_MM)
            middle = zip(ndimage.center_of_mass(own), box.shape, strict=True)
            centre = torch.tensor([2 * (float(c) + 0.5) / n - 1 for c, n in middle][::-1])
            weight = deformed(torch.from_numpy(near / near.max())[None], grid)[0]
            grid = grid + ((volume ** (-1 / 3) - 1) * weight[..., None] * (grid[0] - centre))[None]
        return grid

    def _read_case(self, index: int) -> Geometry:
        """A case as it lies in the library."""
        lobules, dseg = self.library.lobules(index), self.library.dseg(index)
        arbor = np.isin(dseg, WHITE_MATTER) & ~np.isin(lobules, WHITE_MATTER)
        labelled = lobules > 0
        tissue = self.library.tissue(index).argmax(axis=0).astype(np.uint8)
        codes = np.where(labelled, LABELLED + 2 * lobules + arbor, tissue).astype(np.uint8)
        return Geometry(codes, _depth(labelled), self._votes(index))

    def _votes(self, index: int) -> LabelMap:
        """Labels of the other people's cases in the same head and of the same mirroring, on coarse voxels."""
        library = self.library
        others = [
            k
            for k in self.cases
            if library.heads[k] == library.heads[index]
            and library.mirrored[k] == library.mirrored[index]
            and library.persons[k] != library.persons[index]
        ]
        return np.stack([library.dseg(k)[::2, ::2, ::2] for k in others]) if others else np.zeros(
            (0, *cerebellum_box(COARSE_MM).shape), dtype=np.uint8
        )  # fmt: skip


def _depth(labelled: NDArray[np.bool_]) -> NDArray[np.uint8]:
    block = ndimage.find_objects(labelled.astype(np.uint8))[0]
    own = np.pad(labelled[block], 1)
    distance_mm = ndimage.distance_transform_edt(own, sampling=FINE_MM)[1:-1, 1:-1, 1:-1]
    depth = np.zeros(labelled.shape, dtype=np.uint8)
    depth[block] = np.clip(np.round(distance_mm / DEPTH_MM), 0, 255).astype(np.uint8)
    return depth


def _nearest(maps: NDArray[np.uint8], grid: Tensor) -> NDArray[np.uint8]:
    """Maps (C, X, Y, Z) sampled by nearest neighbour and continued by their edge."""
    moved = functional.grid_sample(
        torch.from_numpy(maps)[None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return moved[0].to(torch.uint8).numpy()
