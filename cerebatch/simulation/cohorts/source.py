"""What a source of people gives: the small interface that writers of cohorts know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cerebatch.simulation.cohorts.people import Person
from cerebatch.simulation.cohorts.scanners import Scanner
from cerebatch.spatial.space import Grid, LabelMap


@dataclass(frozen=True)
class Simulated:
    """A person's scans and what is true of them.

    Attributes
    ----------
    scans : dict
        Suffix ("T1w", "T2w") -> voxels (X, Y, Z) int16 and their grid, native.
    dseg, lobules : (X, Y, Z) uint8
        Cerebatch codes on `truth_grid`: an arbor vitae as white matter, and with its lobule. What is 0 is no tissue of
        the cerebellum.
    truth_grid : Grid
        In the frame of the T1w.
    icv_cm3 : float
        Intracranial volume, as the scan shows it.
    """

    scans: dict[str, tuple[NDArray[np.int16], Grid]]
    dseg: LabelMap
    lobules: LabelMap
    truth_grid: Grid
    icv_cm3: float


class Source(Protocol):
    """An anatomy, or several, that people are made from."""

    @property
    def description(self) -> str:
        """What people are made from and which images: sentences that differ where, seed apart, what is made does."""

    @property
    def licence(self) -> str | None:
        """Of what is made, where it follows from what it is made from."""

    def made_from(self, person: Person, seed: int) -> tuple[str, ...]:
        """Names of the published maps whose people a person has the anatomy of; none where it is nobody's.

        Parameters
        ----------
        person : Person
        seed : int
            Of the cohort.
        """

    def make(self, person: Person, scanner: Scanner, seed: int) -> Simulated:
        """Make and scan a person.

        Parameters
        ----------
        person : Person
        scanner : Scanner
            Of the person's site.
        seed : int
            Of the cohort; with the person's number it decides everything that is drawn.
        """
