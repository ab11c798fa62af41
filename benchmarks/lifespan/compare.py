"""Does `compare` find the structures that changed, and no others more often than it says?

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.compare [--tables 200] [--people 600] [--seed 1]

Made-up people with 26 structures are measured twice: the same true volume, and an error of measurement that is drawn
anew. In the first kind of table both errors are equally large in every structure: whatever is found is a false alarm.
In the second the error of 16 structures is smaller in the second set. Printed are rates over tables with 95%
Clopper-Pearson intervals: false alarms of a structure (uncorrected, at most 5%), tables with any false alarm after Holm
(at most 5%), and changed structures that were found.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmarks.lifespan.split import interval
from lifespan import compare, read_table
from lifespan.people import People

STRUCTURES, CHANGED = 26, 16
BIOLOGY, ERROR = 0.10, 0.06
"""Standard deviations as shares of the volume: between people, and of one measurement."""


def pair(people: int, changed: int, smaller: float, rng: np.random.Generator) -> tuple[People, People]:
    """Two tables of the same people; the first `changed` structures have a smaller error in the second."""
    age = rng.uniform(5.0, 90.0, people)
    size = np.linspace(1.0, 12.0, STRUCTURES)
    curve = 0.7 + 0.5 * (1.0 - np.exp(-age / 4.0)) - 0.003 * age
    true = size * (curve[:, None] + rng.normal(0.0, BIOLOGY, (people, STRUCTURES)))
    errors = np.full((2, STRUCTURES), ERROR)
    errors[1, :changed] *= smaller
    tables = [true + size * error * rng.normal(size=true.shape) for error in errors]
    first = {"participant_id": np.arange(people), "age": age} | {
        f"s{k:02d}_cm3": tables[0][:, k] for k in range(STRUCTURES)
    }
    before = read_table(pd.DataFrame(first))
    return before, replace(before, volumes=pd.DataFrame(tables[1], columns=before.volumes.columns))


def told(words: str, count: int, of: int) -> None:
    """A rate with its interval."""
    low, high = interval(count, of)
    print(f"  {words}: {count} of {of}, {count / of:.4f} ({low:.4f}-{high:.4f})")


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    for words, changed, smaller in (
        ("nothing changed", 0, 1.0),
        (f"error of {CHANGED} structures smaller by half", CHANGED, 0.5),
        (f"error of {CHANGED} structures smaller by a fifth", CHANGED, 0.8),
    ):
        found = [compare(*pair(given.people, changed, smaller, rng)) for _ in range(given.tables)]
        plain = np.array([table["significant"] for table in found])
        holm = np.array([table["significant_holm"] for table in found])
        right = np.array([table["reduced"] for table in found])
        print(f"{words}; {given.tables} tables of {given.people} people")
        still = plain[:, changed:]
        told("false alarms of an unchanged structure, uncorrected", int(still.sum()), still.size)
        told("tables with a false alarm after Holm", int(holm[:, changed:].any(axis=1).sum()), given.tables)
        if changed:
            for name, hits in (("uncorrected", plain), ("Holm", holm)):
                hit = hits[:, :changed] & right[:, :changed]
                told(f"changed structures found as reduced, {name}", int(hit.sum()), hit.size)


if __name__ == "__main__":
    main()
