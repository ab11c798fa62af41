"""What the programs about real people share: reading, splitting without visits on both sides, and scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta

from lifespan import Reading, read_table
from lifespan.people import People

COVERAGE = 0.95
ENOUGH = 50
TOTAL = "cerebellum"


def read_people(volumes: Path) -> People:
    """Both tables in one, visits of OASIS told apart; the four structures and their sum."""
    tables = [
        read_table(volumes / "fcon1000.tsv"),
        read_table(volumes / "nki-oasis.tsv", Reading(visit_pattern=r"_MR([0-9]+)$")),
    ]
    first = tables[0]
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    columns = pd.concat([table.volumes for table in tables], ignore_index=True)
    columns[TOTAL] = columns.sum(axis=1)
    return replace(first, source="fcon1000 and nki-oasis", frame=frame, volumes=columns)


def halves(people: People, seed: int) -> tuple[People, People]:
    """Two halves: persons, with all their visits, drawn within site and sex."""
    rng = np.random.default_rng(seed)
    frame = people.frame
    first = np.zeros(len(frame), dtype=bool)
    for _, rows in frame.groupby(["site", "sex"]):
        persons = rng.permutation(np.unique(rows["participant_id"].astype(str)))
        drawn = persons[: (len(persons) + int(rng.integers(2))) // 2]
        first[rows.index[rows["participant_id"].isin(drawn)]] = True
    return people.take(first), people.take(~first)


def interval(inside: int, count: int) -> tuple[float, float]:
    """Clopper-Pearson 95% interval of a share."""
    low = 0.0 if inside == 0 else float(beta.ppf(0.025, inside, count - inside + 1))
    high = 1.0 if inside == count else float(beta.ppf(0.975, inside + 1, count - inside))
    return low, high


def by_decade(age: np.ndarray, inside: np.ndarray) -> pd.DataFrame:
    """Share inside the bounds in each decade, with its binomial interval and whether 95% lies in it."""
    rows = []
    for decade in sorted(set((age // 10 * 10).astype(int))):
        here = inside[(age // 10 * 10).astype(int) == decade]
        low, high = interval(int(here.sum()), len(here))
        holds = "too few" if len(here) < ENOUGH else "yes" if low <= COVERAGE <= high else "NO"
        rows.append(
            {
                "decade": f"{decade}-{decade + 9}",
                "n": len(here),
                "inside": round(float(here.mean()), 3),
                "interval": f"{low:.3f}-{high:.3f}",
                "95% in it": holds,
            }
        )
    return pd.DataFrame(rows)


def explained(value: np.ndarray, predicted: np.ndarray) -> float:
    """1 - variance of the errors over variance of the values."""
    return float(1.0 - np.var(value - predicted) / np.var(value))
