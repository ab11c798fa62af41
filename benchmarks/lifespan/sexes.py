"""Women and men of real people against what is known: men's volumes 9-13% larger, about 0.3 cm3 lost a year.

    python -m benchmarks.lifespan.sexes VOLUMES

VOLUMES holds fcon1000.tsv and nki-oasis.tsv (FreeSurfer; the earliest visit of each person). For the whole cerebellum
(the sum of the four structures) and each structure: men's curve over women's at 20 to 70 years; mean change a year from
20 to 70 years; the same with sites modelled, and with the size of the head taken out. The interval of the ratio is a
bootstrap over people at 30 years.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.lifespan.split import TOTAL, read_people
from lifespan import LifespanModel, fit
from lifespan.fitting import earliest_visits
from lifespan.people import People

AGES = (20.0, 30.0, 50.0, 70.0)
ADULT = (20.0, 70.0)
DRAWS = 200


def row(model: LifespanModel, structure: str, measure: str) -> dict[str, float | str]:
    """Ratios and changes of one structure."""
    women, men = (model.curves[structure, measure, group].mean for group in ("female", "male"))
    ratio = {f"m/f {age:.0f}": float(men.value(np.array([age]))[0] / women.value(np.array([age]))[0]) for age in AGES}
    change = {}
    for group in ("all", "female", "male"):
        ends = model.curves[structure, measure, group].mean.value(np.array(ADULT))
        change[f"{group}/year"] = float((ends[1] - ends[0]) / (ADULT[1] - ADULT[0]))
    return {"structure": structure, "women": women.form, "men": men.form, **ratio, **change}


def resampled_ratio(people: People, seed: int = 1) -> tuple[float, float]:
    """95% bootstrap interval of men over women at 30 years, whole cerebellum, the paper's model."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        drawn = people.take(rng.integers(0, len(people), len(people)))
        drawn.frame["participant_id"] = [str(k) for k in range(len(drawn))]
        found.append(float(row(fit(drawn.only([TOTAL]), icv="none"), TOTAL, "absolute")["m/f 30"]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", type=Path)
    given = parser.parse_args()
    both = earliest_visits(read_people(given.volumes))
    sites = np.array(both.texts("site"))
    cohorts = {"fcon1000": both.take(~np.isin(sites, ["nki", "Oasis2"])), "fcon1000 and nki-oasis": both}
    for name, people in cohorts.items():
        women, men = (int(people.in_group(group).sum()) for group in ("female", "male"))
        low, high = resampled_ratio(people)
        print(f"\n{name}: {women} women, {men} men; men over women at 30 years, bootstrap {low:.3f}-{high:.3f}")
        for words in ("paper", "sites"):
            model = fit(people, model=words, icv="ratio")
            rows = [row(model, structure, "absolute") for structure in people.structures]
            print(f"{words}, cm3")
            print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
            share = row(model, TOTAL, "percent_icv")
            print(f"{words}, per cent of ICV, whole: men over women at 30 years {share['m/f 30']:.3f}")
        power = fit(people, icv="power")
        exponents = {group: power.curves[TOTAL, "power_icv", group].icv_exponent for group in ("all", "female", "male")}
        share = row(power, TOTAL, "power_icv")
        print(
            f"power law, whole: exponents {', '.join(f'{g} {e:.2f}' for g, e in exponents.items())}; men over women at "
            f"30 years {share['m/f 30']:.3f}"
        )


if __name__ == "__main__":
    main()
