"""Atlases of the library's own cases, for the channel that the networks are trained with.

An atlas of a case is voted by cases of other people in other heads, a few of each person. For each person that a
network may be tested on there is one more atlas, that this person had no vote in.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.atlas.subject_atlas import DISTANCE_WEIGHT, compared_region, fuse_cases, register_cases
from cerebatch.errors import LibraryError
from cerebatch.io.atomic import written_whole
from cerebatch.labels import mirrored
from cerebatch.library.store import Library, open_library
from cerebatch.spatial.space import LabelMap

CASES_OF_A_PERSON = 2
"""At most so many cases of each person vote; at inference 20 do, so these atlases are a little worse."""


@dataclass(frozen=True)
class TrainingAtlases:
    """Atlases on disk, one file a case that is no mirrored twin.

    Attributes
    ----------
    library : Library
    folder : Path
    """

    library: Library
    folder: Path

    def read(self, index: int, without: str = "") -> LabelMap:
        """Atlas of a case.

        Parameters
        ----------
        index : int
            Of the case in the library.
        without : str
            Person that had no vote, beside the case's own; the network's test subject.

        Returns
        -------
        dseg : (X, Y, Z) uint8
            Cerebatch codes.
        """
        if self.library.mirrored[index]:
            twin = self.library.names.index(self.library.twins[index])
            return mirrored(self.read(twin, without)[::-1])
        with np.load(self._path(index)) as file:
            dseg: LabelMap = file[without or "all"]
        return dseg

    def make(self, processes: int) -> Iterator[str]:
        """Make the atlases that are missing; yields the name of each case that is done."""
        missing = [
            index
            for index in range(len(self.library.names))
            if not self.library.mirrored[index] and not self._path(index).exists()
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_make, *zip(*((self.library.path, self._path(k), k) for k in missing), strict=True))

    def _path(self, index: int) -> Path:
        return self.folder / f"{self.library.names[index]}.npz"


def _make(library_path: Path, target: Path, index: int) -> str:
    library = open_library(library_path)
    persons = set(library.persons) - {library.persons[index]}
    t1w, region = library.image(index, "T1w"), compared_region(library)
    chosen: list[int] = []
    for person in sorted(persons):
        others = LeaveOut(tuple(set(library.persons) - {person}), (library.heads[index],))
        if others.candidates(library):
            chosen += most_similar(t1w, library, CASES_OF_A_PERSON, others)
    images = [library.image(k, "T1w") for k in chosen]
    labels = [library.dseg(k) for k in chosen]
    fields = register_cases(t1w, images, region, library.resolution)
    atlases: dict[str, LabelMap] = {}
    for without in ("all", *sorted(persons)):
        own = [place for place, k in enumerate(chosen) if library.persons[k] != without]
        if not own:
            raise LibraryError(
                library_path,
                expected=f"for {library.names[index]} cases of other people in other heads, {without} left out",
                found="none",
                do="Build a library of at least three people in two heads.",
            )
        atlases[without], _ = fuse_cases(
            t1w, [images[k] for k in own], [labels[k] for k in own], [fields[k] for k in own], region, DISTANCE_WEIGHT
        )
    with written_whole(target) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(stream, **atlases)  # type: ignore[arg-type]
    return library.names[index]
