"""Real people that the models have not seen: held-out people of known sites, and people of unseen sites.

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.people VOLUMES [--seeds 5]

VOLUMES holds fcon1000.tsv and nki-oasis.tsv. Persons go to one half or the other with all their visits, within site
and sex; the five measures are left and right cortex, left and right white matter, and their sum, in cm3.

Printed: for each model the mean log score (logarithm of the predictive density, per cm3; larger is better), explained
variance and share inside the 95% bounds; for one model the coverage by decade with its binomial interval; sites left
out of the fit, without controls and with half of their people as controls.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.lifespan.split import by_decade, explained, halves, read_people
from lifespan import LifespanModel, fit, transfer
from lifespan.people import People

MODELS = ("paper", "visits", "spread+visits", "sites+visits", "sites+visits+shape", "spline+spread+sites+visits+shape")
SHOWN = "sites+visits+shape"


def predictions(model: LifespanModel, people: People) -> pd.DataFrame:
    """Log score, prediction and bounds of each person inside the fitted ages, each by the curve of their sex."""
    rows = []
    for structure in people.structures:
        for group in ("female", "male"):
            curve = model.curves[structure, "absolute", group]
            here = people.in_group(group) & (people.age >= curve.age_low) & (people.age <= curve.age_high)
            some = people.take(here)
            value = some.volumes[structure].to_numpy(dtype=float)
            predicted = curve.predict(some.age, some.texts("site"))
            low, high = predicted.bounds()
            rows.append(
                pd.DataFrame(
                    {
                        "structure": structure,
                        "site": some.texts("site"),
                        "age": some.age,
                        "value": value,
                        "predicted": predicted.quantile(0.5),
                        "log score": predicted.log_density(value),
                        "inside": (value >= low) & (value <= high),
                        "z": predicted.z(value),
                        "person": some.texts("participant_id"),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def summary(found: pd.DataFrame) -> dict[str, float]:
    """Mean over the five measures of the three scores."""
    per = found.groupby("structure")
    variance = [explained(part["value"].to_numpy(), part["predicted"].to_numpy()) for _, part in per]
    return {
        "log score": float(per["log score"].mean().mean()),
        "explained": float(np.mean(variance)),
        "inside": float(found["inside"].mean()),
    }


def fitted(people: People, words: str) -> LifespanModel:
    """A model; those without visits get the earliest visit of each person."""
    return fit(people, model=words, icv="none", one_visit="visits" not in words)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    people = read_people(given.volumes)
    persons, sites = (people.frame[column].nunique() for column in ("participant_id", "site"))
    print(f"{len(people)} scans, {persons} people, {sites} sites")
    rows: list[dict[str, Any]] = []
    shown: list[tuple[str, pd.DataFrame]] = []
    cells: list[str] = []
    for seed in range(given.seeds):
        train, test = halves(people, seed)
        for words in MODELS:
            found = predictions(fitted(train, words), test)
            rows.append({"model": words, **summary(found)})
            if words == SHOWN:
                shown = shown or [("held-out people", found)]
                for _, part in found.groupby("structure"):
                    cells += list(by_decade(part["age"].to_numpy(), part["inside"].to_numpy())["95% in it"])
    print(f"\nHeld-out people of known sites, mean of {given.seeds} splits, mean of five measures")
    print(pd.DataFrame(rows).groupby("model", sort=False).mean().to_string(float_format=lambda v: f"{v:.3f}"))
    known = [cell for cell in cells if cell != "too few"]
    print(
        f"{SHOWN}: 95% in the binomial interval in {known.count('yes')} of {len(known)} decades with 50 people or more"
    )
    rows = []
    unseen: dict[str, list[Any]] = {"without controls": [], "with controls": []}
    for site in sorted(set(people.texts("site"))):
        here = np.array(people.texts("site")) == site
        model = fitted(people.take(~here), SHOWN)
        controls, test = halves(people.take(here), 0)
        for words, used in (("without controls", model), ("with controls", transfer(model, controls))):
            found = predictions(used, test)
            unseen[words].append(found)
    for words, parts in unseen.items():
        rows.append({"site": words, **summary(pd.concat(parts, ignore_index=True))})
    print(f"\nPeople of unseen sites, each site left out of the fit in turn, {SHOWN}; the same people in both rows")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    shown += [(f"unseen sites {words}", pd.concat(parts, ignore_index=True)) for words, parts in unseen.items()]
    for words, found in shown:
        for structure in ("cerebellum", "left_cortex", "left_white_matter"):
            part = found[found["structure"] == structure]
            print(f"\nCoverage by decade, {words}, {structure}, {SHOWN}")
            print(by_decade(part["age"].to_numpy(), part["inside"].to_numpy()).to_string(index=False))


if __name__ == "__main__":
    main()
