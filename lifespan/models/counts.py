"""How many people stand behind a model: by group, site, decade and year of age."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lifespan.arrays import Floats
from lifespan.people import GROUPS, People

FEW = 20
"""Fewer people than this in a decade are warned of."""

Key = TypeVar("Key", int, str)

NEAR_YEARS = 5.0
"""Ages so many years around one count as near it."""


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
        Group -> first year of the decade -> how many observations.
    by_year : dict
        Group -> year of age -> how many observations.
    """

    people: dict[str, int]
    observations: dict[str, int]
    by_site: dict[str, dict[str, int]]
    by_decade: dict[str, dict[int, int]]
    by_year: dict[str, dict[int, int]]

    @classmethod
    def of(cls, people: People) -> Counts:
        """Count the rows of a table."""
        ids, sites = np.array(people.texts("participant_id")), np.array(people.texts("site"))
        years = np.floor(people.age).astype(int)
        members = {group: people.in_group(group) for group in GROUPS}
        return cls(
            {group: len(set(ids[rows])) for group, rows in members.items()},
            {group: int(rows.sum()) for group, rows in members.items()},
            {group: _sorted(Counter(str(site) for site in sites[rows] if site)) for group, rows in members.items()},
            {group: _sorted(Counter(int(y) // 10 * 10 for y in years[rows])) for group, rows in members.items()},
            {group: _sorted(Counter(int(y) for y in years[rows])) for group, rows in members.items()},
        )

    def near(self, group: str, age: Floats) -> Floats:
        """(n,) how many of a group were within five years of ages (n,); ages count by their year."""
        years = np.array(sorted(self.by_year[group]), dtype=np.float64)
        counts = np.array([self.by_year[group][int(year)] for year in years], dtype=np.float64)
        return np.asarray((np.abs(age[:, None] - (years + 0.5)) <= NEAR_YEARS) @ counts)

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
        return vars(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Counts:
        def by_number(table: dict[str, dict[str, int]]) -> dict[str, dict[int, int]]:
            return {group: {int(key): value for key, value in counts.items()} for group, counts in table.items()}

        return cls(
            content["people"],
            content["observations"],
            content["by_site"],
            by_number(content["by_decade"]),
            by_number(content["by_year"]),
        )


def _sorted(counts: Counter[Key]) -> dict[Key, int]:
    return dict(sorted(counts.items()))
