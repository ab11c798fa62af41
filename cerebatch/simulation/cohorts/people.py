"""Who is in a cohort: age, sex, site and diagnosis of person k, whatever the number of people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np
from scipy import stats

from cerebatch.errors import SettingsError
from cerebatch.simulation.cohorts import published_cohorts

PLAIN_SITES = 8
"""Scanners of a cohort that follows no table."""

LIFESPAN_YEARS = (1.0, 90.0)
"""Ages of a cohort that follows no table."""

PLAIN = "lifespan"
"""What stands for the dataset of a cohort that follows no table."""


@dataclass(frozen=True)
class Person:
    """A made-up person.

    Attributes
    ----------
    number : int
        From 1.
    age_years : float
    sex : str
        "F" or "M".
    diagnosis : str
        One of `table1.DIAGNOSES`.
    dataset, site : str
    """

    number: int
    age_years: float
    sex: str
    diagnosis: str
    dataset: str
    site: str

    @property
    def name(self) -> str:
        """Label of the participant, with ``sub-``."""
        return f"sub-sim{self.number:04d}"


def table1_people(count: int | None, seed: int) -> list[Person]:
    """People as in Table 1, or the beginning of them, a proportional sample.

    Ages of a group are spread over a beta distribution between the dataset's limits that has the printed mean and
    standard deviation, evenly in each diagnosis.

    Parameters
    ----------
    count : int or None
        All 4,857 without it.
    seed : int

    Raises
    ------
    SettingsError
        Fewer than one or more than the table has.
    """
    seats = published_cohorts.seats()
    if count is not None and not 1 <= count <= len(seats):
        raise SettingsError(
            f"--people {count} with --table1: expected 1 to {len(seats)}, the people of the table. "
            "Leave --people out for all of them, or --table1 for a cohort of any size."
        )
    return [_seated(number, seat, seed) for number, seat in enumerate(seats[:count], start=1)]


def lifespan_people(count: int, seed: int, years: tuple[float, float] = LIFESPAN_YEARS) -> list[Person]:
    """Healthy people of all ages, evenly spread.

    Parameters
    ----------
    count : int
    seed : int
    years : (2,) tuple of float
        Youngest and oldest.

    Raises
    ------
    SettingsError
        Fewer than one person, or ages that are no range.
    """
    low, high = years
    if count < 1 or not 0 <= low < high <= 120:
        raise SettingsError(
            f"{count} people of {low:g} to {high:g} years: expected at least one person, and ages from 0 to 120 with "
            "the youngest first. Give other --people, --youngest or --oldest."
        )
    shift = np.random.default_rng([seed, crc32(b"ages")]).uniform()
    people = []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, crc32(b"who"), number])
        age = low + (high - low) * ((_bits_reversed(number) + shift) % 1)
        sex = "FM"[rng.integers(2)]
        site = f"site{rng.integers(PLAIN_SITES) + 1:02d}"
        people.append(Person(number, round(float(age), 1), sex, "CN", PLAIN, site))
    return people


def _seated(number: int, seat: published_cohorts.Seat, seed: int) -> Person:
    group = seat.group
    cell = f"{group.dataset} {group.sex} {seat.diagnosis}"
    rank = _ranks(group.diagnoses[seat.diagnosis], crc32(cell.encode()), seed)[seat.turn]
    rng = np.random.default_rng([seed, crc32(b"who"), number])
    share = (rank + rng.uniform()) / group.diagnoses[seat.diagnosis]
    low, high = published_cohorts.AGE_LIMITS[group.dataset]
    a, b = _beta_shape((group.mean_years - low) / (high - low), group.sd_years / (high - low))
    age = low + (high - low) * float(stats.beta.ppf(share, a, b))
    place = "C-MIND" if group.dataset in published_cohorts.C_MIND else group.dataset
    site = f"{place}-{rng.integers(published_cohorts.SITES[group.dataset]) + 1:02d}"
    return Person(number, round(age, 1), group.sex, seat.diagnosis, group.dataset, site)


def _beta_shape(mean: float, sd: float) -> tuple[float, float]:
    """Parameters of the beta distribution on 0 to 1 with a mean and a standard deviation."""
    total = mean * (1 - mean) / sd**2 - 1
    return mean * total, (1 - mean) * total


@cache
def _ranks(count: int, cell: int, seed: int) -> list[int]:
    """Ranks of the ages in a cell, spread evenly from its first person on."""
    shift = np.random.default_rng([seed, cell]).uniform()
    points = np.array([(_bits_reversed(turn + 1) + shift) % 1 for turn in range(count)])
    return [int(rank) for rank in np.argsort(np.argsort(points))]


def _bits_reversed(number: int) -> float:
    """The number's binary digits behind the point in reverse: van der Corput's sequence, even at every length."""
    value, weight = 0.0, 0.5
    while number:
        value += weight * (number & 1)
        number >>= 1
        weight /= 2
    return value
