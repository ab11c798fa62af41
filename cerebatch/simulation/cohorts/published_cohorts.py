"""The cohorts of Table 1 of the paper, as printed: how many people of which age, sex and diagnosis.

The Human Connectome Project is left out: its people are the training cases, not the lifespan cohort. The rows IRC0
and UCLA are what the text calls C-MIND.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """One line of the table: the women or the men of a dataset.

    Attributes
    ----------
    dataset : str
    sex : str
        "F" or "M".
    mean_years, sd_years : float
        Age, as printed.
    diagnoses : dict
        Diagnosis -> number of people.
    """

    dataset: str
    sex: str
    mean_years: float
    sd_years: float
    diagnoses: dict[str, int]

    @property
    def size(self) -> int:
        """Number of people."""
        return sum(self.diagnoses.values())


GROUPS = (
    Group("ABIDE", "M", 17.95, 8.39, {"CN": 408, "ASD": 365}),
    Group("ABIDE", "F", 16.13, 7.67, {"CN": 84, "ASD": 48}),
    Group("ADNI", "M", 74, 7, {"CN": 201, "AD": 181, "EMCI": 144, "LMCI": 91, "MCI": 246, "SMC": 44}),
    Group("ADNI", "F", 72, 7, {"CN": 203, "AD": 151, "EMCI": 113, "LMCI": 77, "MCI": 137, "SMC": 61}),
    Group("AIBL", "M", 72.4, 6.96, {"CN": 112, "AD": 18, "SMC": 30}),
    Group("AIBL", "F", 74.19, 7.74, {"CN": 120, "AD": 29, "SMC": 29}),
    Group("ICBM", "M", 32.2, 11.91, {"CN": 152}),
    Group("ICBM", "F", 35.4, 16.4, {"CN": 142}),
    Group("IRC0", "M", 9.68, 4.4, {"CN": 86}),
    Group("IRC0", "F", 7.81, 4.63, {"CN": 108}),
    Group("IXI", "M", 46.97, 16.56, {"CN": 242}),
    Group("IXI", "F", 50.18, 16.31, {"CN": 307}),
    Group("NDAR", "M", 13.29, 6.18, {"CN": 208, "ASD": 95}),
    Group("NDAR", "F", 12.21, 5.1, {"CN": 174, "ASD": 16}),
    Group("OASIS", "M", 63.91, 11.76, {"CN": 111, "AD": 16, "SMC": 23}),
    Group("OASIS", "F", 67.56, 13.2, {"CN": 187, "AD": 29, "SMC": 27}),
    Group("UCLA", "M", 7.75, 2.42, {"CN": 21}),
    Group("UCLA", "F", 7.4, 3.04, {"CN": 21}),
)
"""Nine datasets, women and men."""

DIAGNOSES = {
    "CN": "cognitively normal",
    "ASD": "autism spectrum disorder",
    "AD": "Alzheimer's disease",
    "EMCI": "early mild cognitive impairment",
    "LMCI": "late mild cognitive impairment",
    "MCI": "mild cognitive impairment",
    "SMC": "subjective memory complaints",
}

AGE_LIMITS = {
    "ABIDE": (6.0, 60.0),
    "ADNI": (54.0, 92.0),
    "AIBL": (55.0, 96.0),
    "ICBM": (18.0, 80.0),
    "IRC0": (1.0, 19.0),
    "IXI": (19.0, 87.0),
    "NDAR": (1.0, 50.0),
    "OASIS": (18.0, 96.0),
    "UCLA": (1.0, 19.0),
}
"""Youngest and oldest in years. The table prints means and standard deviations only; these limits are chosen."""

SITES = {
    "ABIDE": 20,
    "ADNI": 20,
    "AIBL": 2,
    "ICBM": 1,
    "IRC0": 1,
    "IXI": 3,
    "NDAR": 6,
    "OASIS": 1,
    "UCLA": 1,
}
"""Scanners of each dataset. The text gives 20 sites of ABIDE and one of C-MIND; the others are chosen."""

C_MIND = ("IRC0", "UCLA")
"""Rows that share one scanner."""


@dataclass(frozen=True)
class Seat:
    """A place in the cohort.

    Attributes
    ----------
    group : Group
    diagnosis : str
    turn : int
        Which of the people of this group and diagnosis, from 0.
    """

    group: Group
    diagnosis: str
    turn: int


def seats() -> list[Seat]:
    """All places in an order of which every beginning is a proportional sample.

    The j-th of n people of a cell comes at (j + 1/2) / n: the divisor method of Webster and Sainte-Laguë.
    """
    return sorted(_cells(), key=lambda seat: (seat.turn + 0.5) / seat.group.diagnoses[seat.diagnosis])


def _cells() -> Iterator[Seat]:
    for group in GROUPS:
        for diagnosis, count in group.diagnoses.items():
            for turn in range(count):
                yield Seat(group, diagnosis, turn)
