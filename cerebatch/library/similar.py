"""Which cases of a library look most like a scan, and whom a test must leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cerebatch.errors import LibraryError
from cerebatch.library.layout import preview
from cerebatch.library.store import Library
from cerebatch.space import Volume
from cerebatch.standardise import standardised


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


def most_similar(image: Volume, library: Library, count: int, leave_out: LeaveOut | None = None) -> list[int]:
    """Indices of the cases with the smallest L1 distance to a scan, nearest first (section 2.3).

    Compared are z-scores in blocks of 2 mm: shape and white matter decide, noise and single folia do not, and no
    voxel of the whole library has to be read at full resolution.

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
    region = library.region()
    scan = standardised(preview(image, library.resolution), region)[region]
    previews = library.previews()
    distances = [float(np.abs(standardised(previews[k], region)[region] - scan).mean()) for k in candidates]
    nearest = np.argsort(distances, kind="stable")[:count]
    return [candidates[k] for k in nearest]
