"""How many people stand behind a model: by group, site, decade and year of age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lifespan.arrays import Bools, Floats
from lifespan.people import GROUPS, People

FEW = 20
"""Fewer people than this in a decade are warned of."""

Key = TypeVar("Key", int, str, tuple[int, int])

NEAR_YEARS = 5.0
"""Ages so many years around one count as near it."""


@dataclass(frozen=True)
class Ages:
    """At which ages people were seen: enough to count people, not scans, in any interval of years.

    Attributes
    ----------
    by_year : dict
        Year of age -> how many people were seen in it.
    again : dict
        (year, later year) -> how many people were seen in both, and in none between.
    """

    by_year: dict[int, int]
    again: dict[tuple[int, int], int]

    @classmethod
    def of(cls, ids: NDArray[np.str_], age: Floats) -> Ages:
        """Ages (n,) in years of people with names (n,)."""
        seen = sorted(set(zip(ids.tolist(), np.floor(age).astype(int).tolist(), strict=True)))
        pairs = [(year, later) for (name, year), (other, later) in pairwise(seen) if name == other]
        return cls(_sorted(Counter(year for _, year in seen)), _sorted(Counter(pairs)))

    def near(self, age: Floats) -> Floats:
        """(n,) how many people were seen within five years of ages (n,); ages count by their year."""

        def inside(year: int) -> Floats:
            return np.asarray(np.abs(age - (year + 0.5)) <= NEAR_YEARS, dtype=np.float64)

        found = np.zeros(len(age))
        for year, count in self.by_year.items():
            found += count * inside(year)
        # Seen in k years of the interval, a person has k - 1 pairs of neighbouring years in it.
        for (year, later), count in self.again.items():
            found -= count * inside(year) * inside(later)
        return found

    def to_json(self) -> dict[str, Any]:
        return {"by_year": self.by_year, "again": [[*years, count] for years, count in self.again.items()]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Ages:
        years = {int(year): int(count) for year, count in content["by_year"].items()}
        return cls(years, {(year, later): count for year, later, count in content["again"]})


@dataclass(frozen=True)
class Counts:
    """People of a fit.

    Attributes
    ----------
    people, observations : dict
        Group -> how many.
    by_site : dict
        Group -> site -> how many observations.
    by_decade : dict
        Group -> first year of the decade -> how many people were seen in it.
    ages : dict
        Group -> `Ages`.
    of_curves : dict
        (structure, measure, group) -> `Ages` of its people, where some of the group have no value.
    """

    people: dict[str, int]
    observations: dict[str, int]
    by_site: dict[str, dict[str, int]]
    by_decade: dict[str, dict[int, int]]
    ages: dict[str, Ages]
    of_curves: dict[tuple[str, str, str], Ages] = field(default_factory=dict)

    @classmethod
    def of(cls, people: People, fitted: Mapping[tuple[str, str, str], Bools] | None = None) -> Counts:
        """Count the rows of a table.

        Parameters
        ----------
        people : People
        fitted : mapping, optional
            (structure, measure, group) -> (n,) which rows stand behind that curve.
        """
        ids, sites = np.array(people.texts("participant_id")), np.array(people.texts("site"))
        decades = (np.floor(people.age).astype(int) // 10 * 10).tolist()
        members = {group: people.in_group(group) for group in GROUPS}
        known: dict[bytes, Ages] = {}
        of_curves = {}
        for key, rows in (fitted or {}).items():
            if not np.array_equal(rows, members[key[2]]):
                of_curves[key] = known.setdefault(rows.tobytes(), Ages.of(ids[rows], people.age[rows]))
        return cls(
            {group: len(set(ids[rows])) for group, rows in members.items()},
            {group: int(rows.sum()) for group, rows in members.items()},
            {group: _sorted(Counter(str(site) for site in sites[rows] if site)) for group, rows in members.items()},
            {
                group: _sorted(Counter(decade for _, decade in {(ids[k], decades[k]) for k in np.flatnonzero(rows)}))
                for group, rows in members.items()
            },
            {group: Ages.of(ids[rows], people.age[rows]) for group, rows in members.items()},
            of_curves,
        )

    def near(self, group: str, age: Floats, structure: str = "", measure: str = "") -> Floats:
        """(n,) how many people of a group, with that structure, were seen within five years of ages (n,)."""
        return self.of_curves.get((structure, measure, group), self.ages[group]).near(age)

    def warnings(self) -> list[str]:
        """A sentence for each group that has decades with few people."""
        told = []
        for group in GROUPS:
            decades = self.by_decade[group]
            if not decades:
                continue
            every = range(min(decades), max(decades) + 1, 10)
            few = [f"{decade}-{decade + 9} years: {decades.get(decade, 0)}" for decade in every]
            few = [text for text, decade in zip(few, every, strict=True) if decades.get(decade, 0) < FEW]
            if few:
                told.append(f"{group}: fewer than {FEW} people stand behind the curve at {', '.join(few)}")
        return told

    def to_json(self) -> dict[str, Any]:
        content = dict(vars(self))
        content["ages"] = {group: ages.to_json() for group, ages in self.ages.items()}
        content["of_curves"] = [[list(key), ages.to_json()] for key, ages in self.of_curves.items()]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Counts:
        """Of version 1 years count scans."""

        def by_number(table: dict[str, dict[str, int]]) -> dict[str, dict[int, int]]:
            return {group: {int(key): value for key, value in counts.items()} for group, counts in table.items()}

        if "ages" in content:
            ages = {group: Ages.from_json(of) for group, of in content["ages"].items()}
        else:
            ages = {group: Ages(years, {}) for group, years in by_number(content["by_year"]).items()}
        of_curves = {tuple(key): Ages.from_json(of) for key, of in content.get("of_curves", [])}
        decades = by_number(content["by_decade"])
        return cls(content["people"], content["observations"], content["by_site"], decades, ages, of_curves)


def _sorted(counts: Counter[Key]) -> dict[Key, int]:
    return dict(sorted(counts.items()))
