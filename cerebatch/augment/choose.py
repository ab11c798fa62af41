"""The labelled case that looks most like a target (section 2.4); mirrored cases count like any other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.atlas.registering import compared_region
from cerebatch.atlas.similar import LeaveOut, SimilarityIndex
from cerebatch.errors import LibraryError
from cerebatch.library.store import Library, open_library
from cerebatch.spatial.space import Volume


@dataclass(frozen=True)
class Choice:
    """The most similar case.

    Attributes
    ----------
    index : int
        In the library.
    distance : float
        L1 of z-scores in blocks of 2 mm (`atlas.similar.SimilarityIndex`).
    """

    index: int
    distance: float


@dataclass(frozen=True)
class CachedLibrary:
    """A library with what every choice needs of it, read once in a process.

    Attributes
    ----------
    library : Library
    similarity : SimilarityIndex
    region : (X, Y, Z) bool
        Where scan and case are compared and registered.
    """

    library: Library
    similarity: SimilarityIndex
    region: NDArray[np.bool_]


@lru_cache(maxsize=1)
def open_cached(path: Path, digest: str) -> CachedLibrary:
    """Open the library that has this digest; a process that does many targets opens it once.

    Raises
    ------
    LibraryError
        It cannot be used, or is not the one that the run began with.
    """
    library = open_library(path)
    if library.digest != digest:
        raise LibraryError(
            path,
            expected=f"the library that the run began with, digest {digest[:12]}",
            found=f"digest {library.digest[:12]}",
            do="Do not build a library anew while it is in use.",
        )
    return CachedLibrary(library, SimilarityIndex.of(library), compared_region(library))


def most_similar_case(t1w: Volume, cached: CachedLibrary, leave_out: LeaveOut | None = None) -> Choice:
    """Choose the case to bend onto a target.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        Prepared T1w of the target in the box.
    cached : CachedLibrary
    leave_out : LeaveOut, optional
        Whom a test must not use.

    Raises
    ------
    LibraryError
        No case is left.
    """
    candidates = (leave_out or LeaveOut()).candidates(cached.library)
    if not candidates:
        raise LibraryError(
            cached.library.path, expected="cases that are not left out", found="none", do="Use a larger library."
        )
    distances = cached.similarity.distances(t1w)
    nearest = min(candidates, key=lambda index: distances[index])
    return Choice(nearest, float(distances[nearest]))
