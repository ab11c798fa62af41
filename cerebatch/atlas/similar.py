"""Which cases of a library look most like a scan, and whom a test must leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import LibraryError
from cerebatch.intensity.standardise import standardised
from cerebatch.library.layout import preview
from cerebatch.library.store import Library
from cerebatch.spatial.space import Volume


@dataclass(frozen=True)
class LeaveOut:
    """Whom an atlas must not know when it is tested on a case of its own library.

    Attributes
    ----------
    persons, heads : tuple of str
        Cases of these people, or in these heads, are not used.
    """

    persons: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()

    @classmethod
    def of(cls, library: Library, index: int) -> LeaveOut:
        """Everything that shares the person or the head with a case; its mirrored twin shares both."""
        return cls((library.persons[index],), (library.heads[index],))

    def candidates(self, library: Library) -> list[int]:
        """Indices of the cases that may be used."""
        pairs = zip(library.persons, library.heads, strict=True)
        return [k for k, (person, head) in enumerate(pairs) if person not in self.persons and head not in self.heads]


@dataclass(frozen=True)
class SimilarityIndex:
    """What the cases of a library look like, read once to compare many scans with them.

    Compared are z-scores in blocks of 2 mm: shape and white matter decide, noise and single folia do not, and no
    voxel of the whole library has to be read at full resolution.

    Attributes
    ----------
    resolution : float
        Of the library, voxel edge in millimetres.
    region : (px, py, pz) bool
        Blocks where any case has a label.
    scores : (N, V) float32
        Z-scores of each case in the region.
    """

    resolution: float
    region: NDArray[np.bool_]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, library: Library) -> SimilarityIndex:
        """Read all previews."""
        region = library.region()
        scores = [standardised(preview_of, region)[region] for preview_of in library.previews()]
        return cls(library.resolution, region, np.stack(scores))

    def distances(self, image: Volume) -> NDArray[np.float64]:
        """L1 distance of a scan, (X, Y, Z) on the library's grid, to each case: mean of the absolute differences."""
        scan = standardised(preview(image, self.resolution), self.region)[self.region]
        return np.array([float(np.abs(scores - scan).mean()) for scores in self.scores])


def most_similar(image: Volume, library: Library, count: int, leave_out: LeaveOut | None = None) -> list[int]:
    """Indices of the cases with the smallest L1 distance to a scan, nearest first (section 2.3).

    `SimilarityIndex` tells what is compared.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Prepared T1w on the library's grid.
    library : Library
    count : int
        How many at most.
    leave_out : LeaveOut, optional

    Raises
    ------
    LibraryError
        No case is left.
    """
    candidates = (leave_out or LeaveOut()).candidates(library)
    if not candidates:
        raise LibraryError(
            library.path,
            expected="cases of other people and heads than those left out",
            found=f"none among {len(library.names)}",
            do="Use a larger library.",
        )
    distances = SimilarityIndex.of(library).distances(image)[candidates]
    nearest = np.argsort(distances, kind="stable")[:count]
    return [candidates[k] for k in nearest]
