"""Seconds for all candidates of 26 structures and 3 groups of 4,857 people, and a floor measured in the same run.

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.speed [--people 4857] [--structures 26] [--repeats 5]

People are made up: ages from 1 to 94, volumes from the six forms in turn, absolute and in per cent of a made-up ICV.
The floor is one `numpy.linalg.lstsq` for each candidate and group, all structures at once, with tau known: what must be
paid when nothing is searched and nothing is tested. Also measured: one `lstsq` for every tau of the grid, as a plain
search would do it, without refinement; the models for what is really there; coefficients by statsmodels. Seconds are
those of the processor, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from lifespan import coefficient_table, fit, read_table
from lifespan.models.candidates import CANDIDATES, CONSTANT
from lifespan.models.search import GRID
from lifespan.people import People

SITES = 12
VISITS = 2000
RICH = "spline+spread+sites+visits+shape"


def made_up(count: int, structures: int, seed: int = 1) -> People:
    """People with volumes from the six forms in turn."""
    rng = np.random.default_rng(seed)
    age = np.clip(rng.gamma(2.2, 18.0, count) + 1.0, 1.0, 94.0)
    table = {
        "participant_id": [f"sub-{k}" for k in range(count)],
        "age": age,
        "sex": rng.choice(["F", "M"], count),
        "site": [f"site-{k}" for k in rng.integers(0, SITES, count)],
        "icv_cm3": rng.normal(1450.0, 120.0, count),
    }
    for k in range(structures):
        form, size, tau = CANDIDATES[k % len(CANDIDATES)], 2.0 + 0.3 * k, 3.0 + 0.4 * k
        shape = 1.0 - 0.003 * age
        if form.degree > 1:
            shape += 6e-5 * (age - 40.0) ** 2
        if form.degree > 2:
            shape -= 1.2e-6 * (age - 40.0) ** 3
        if form.growth:
            shape += 0.8 * (1.0 - np.exp(-age / tau)) - 0.6
        table[f"structure {k + 1}_cm3"] = size * np.maximum(shape + rng.normal(0.0, 0.1, count), 0.05)
    return read_table(pd.DataFrame(table))


def with_visits(structures: int) -> People:
    """2,000 rows of 1,600 people: a quarter of them was seen twice."""
    people = made_up(VISITS, structures, seed=2)
    frame, again = people.frame.copy(), VISITS // 5
    for column in ("participant_id", "sex", "site"):
        frame[column] = np.append(frame[column].to_numpy()[:-again], frame[column].to_numpy()[:again])
    return replace(people, frame=frame)


def columns(age: np.ndarray, degree: int, tau: float | None) -> np.ndarray:
    """Powers of age, and growth if there is a tau."""
    powers = np.vander(age / 50.0 - 1.0, degree + 1)
    return powers if tau is None else np.column_stack([powers, 1.0 - np.exp(-age / tau)])


def floor(people: People) -> None:
    """One lstsq a candidate and group."""
    volumes = people.volumes.to_numpy()
    for group in ("all", "female", "male"):
        rows = people.in_group(group)
        for form in (CONSTANT, *CANDIDATES):
            np.linalg.lstsq(columns(people.age[rows], form.degree, 5.0 if form.growth else None), volumes[rows])


def plain(people: People) -> None:
    """One lstsq a candidate, group and tau of the grid."""
    volumes = people.volumes.to_numpy()
    for group in ("all", "female", "male"):
        rows = people.in_group(group)
        for form in (CONSTANT, *CANDIDATES):
            for tau in np.geomspace(0.3, 90.0, GRID) if form.growth else [None]:
                np.linalg.lstsq(columns(people.age[rows], form.degree, tau), volumes[rows])


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Best of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=4857)
    parser.add_argument("--structures", type=int, default=26)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    people = made_up(given.people, given.structures)
    visits = with_visits(given.structures)
    fit(people.take(np.arange(200)))
    least = seconds(lambda: floor(people), given.repeats)
    model = fit(people)
    work: dict[str, tuple[Callable[[], object], int]] = {
        "floor: one lstsq a candidate and group": (lambda: floor(people), given.repeats),
        "one lstsq a candidate, group and tau": (lambda: plain(people), 1),
        "fit, absolute": (lambda: fit(people, icv="none"), given.repeats),
        "fit, absolute and per cent of ICV": (lambda: fit(people), given.repeats),
        "coefficients by statsmodels, both": (lambda: coefficient_table(model, people), 1),
        "fit --model spread, absolute": (lambda: fit(people, model="spread", icv="none"), 1),
        "fit --model spread+sites, absolute": (lambda: fit(people, model="spread+sites", icv="none"), 1),
        f"{VISITS} rows, --model {RICH}, absolute": (lambda: fit(visits, model=RICH, icv="none"), 1),
    }
    print(f"{given.people} people, {given.structures} structures, groups all, female, male; NumPy {np.__version__}")
    for name, (run, repeats) in work.items():
        taken = seconds(run, repeats)
        print(f"{name:66} {taken:8.3f} s  {taken / least:7.1f} x floor", flush=True)


if __name__ == "__main__":
    main()
