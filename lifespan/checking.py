"""`check`: do the models' bounds hold for people whom they have not seen, and which model is to be taken?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from lifespan.arrays import Floats
from lifespan.errors import FitError
from lifespan.held_out import FOLDS, HeldOut, held_out
from lifespan.models.choice import ModelChoice
from lifespan.people import People
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table

AGE_BINS = (0, 6, 12, 18, 30, 40, 50, 60, 70, 80, 130)
"""First years of the bins of age, and the end."""

LEAST_IN_BIN = 20
"""Fewer people of a bin are not judged."""

_TWO_SIDED = float(special.ndtri(0.975))
_HEAVY = 0.5
_ALL = "all"


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes
    ----------
    models : DataFrame
        One row a model and structure, and structure "all": model, structure, people, log_score (mean over people of the
        logarithm of the predictive density per cm3), behind (of the best model's), behind_low, behind_high (95%
        interval, paired over people), inside (share inside the 95% bounds), mean_z, sd_z, skewness, excess_kurtosis,
        beyond_3 (share of |z| > 3; 0.0027 of a normal distribution), pit_ks (largest distance of the centiles'
        distribution from even), seconds.
    bins : DataFrame
        The same people by age and by site: model, structure, by, bin, people, inside, inside_low, inside_high (95%
        interval over people), below, above, mean_z, sd_z, pit_ks.
    recommended : str
        Words of `--model`.
    recommendation : tuple of str
        Sentences.
    held_out : tuple of HeldOut
    """

    models: pd.DataFrame
    bins: pd.DataFrame
    recommended: str
    recommendation: tuple[str, ...]
    held_out: tuple[HeldOut, ...]


def check(
    table: Path | str | pd.DataFrame | People,
    *,
    models: Sequence[str] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    reading: Reading | None = None,
) -> Check:
    """Cross-validate models by people: log score, calibration by age and site, tails.

    Parameters
    ----------
    table : Path, str, DataFrame or People
    models : sequence of str, optional
        Words of `--model`, each; by default those that the table's sites and visits allow.
    folds : int
    seed : int
    reading : Reading, optional

    Raises
    ------
    TableError
        The table cannot be used.
    FitError
        None of the models can be fitted.
    """
    people = read_table(table, reading)
    words = [str(ModelChoice.parse(model)) for model in (models or usual_models(people))]
    done, refused = list[HeldOut](), list[str]()
    for model in dict.fromkeys(words):
        try:
            done.append(held_out(people, model, folds, seed))
        except FitError as error:
            refused.append(f"{model} could not be fitted: expected {error.expected}, found {error.found}")
    if not done:
        raise FitError(people.source, expected="people whom a model fits", found="; ".join(refused), do="See above.")
    done = _of_common_rows(done)
    table_of_models = _models(done)
    bins = pd.concat([_bins(one) for one in done], ignore_index=True)
    recommended, sentences = _recommend(table_of_models, bins)
    return Check(table_of_models, bins, recommended, (*sentences, *refused), tuple(done))


def usual_models(people: People) -> list[str]:
    """Models worth a comparison, from simple to rich, with sites and visits where the table has them."""
    sites = people.texts("site")
    ids = people.texts("participant_id")
    more = "+sites" * (all(sites) and len(set(sites)) > 1) + "+visits" * (len(set(ids)) < len(ids))
    rich = ["spread", "spread+shape", "spline+spread", "spline+spread+shape", "robust+spread"]
    return ["paper", *([more[1:]] if more else []), *(f"{model}{more}" for model in rich)]


def _of_common_rows(done: list[HeldOut]) -> list[HeldOut]:
    """The same visits and structures for every model."""
    keys = [set(zip(one.rows["row"], one.rows["structure"], strict=True)) for one in done]
    common = set.intersection(*keys)
    kept = []
    for one in done:
        here = [key in common for key in zip(one.rows["row"], one.rows["structure"], strict=True)]
        rows = one.rows[here].sort_values(["structure", "row"]).reset_index(drop=True)
        kept.append(HeldOut(one.model, rows, one.seconds))
    return kept


def _models(done: list[HeldOut]) -> pd.DataFrame:
    names = [_ALL, *dict.fromkeys(done[0].rows["structure"])]
    scores = {one.model: {name: _by_person(_of(one.rows, name)) for name in names} for one in done}
    best = max(scores, key=lambda model: float(scores[model][_ALL].mean()))
    rows = []
    for one in done:
        for name in names:
            own, other = scores[one.model][name], scores[best][name]
            behind = other - own
            error = float(behind.std(ddof=1)) / np.sqrt(len(behind)) if len(behind) > 1 else np.nan
            middle = float(behind.mean())
            some = _of(one.rows, name)
            rows.append(
                {"model": one.model, "structure": name, "people": len(own), "log_score": float(own.mean())}
                | {"behind": middle, "behind_low": middle - _TWO_SIDED * error}
                | {"behind_high": middle + _TWO_SIDED * error, "inside": float(some["inside"].mean())}
                | _moments(some["z"].to_numpy(dtype=np.float64))
                | {"seconds": one.seconds if name == _ALL else np.nan}
            )
    return pd.DataFrame(rows)


def _of(rows: pd.DataFrame, structure: str) -> pd.DataFrame:
    return rows if structure == _ALL else rows[rows["structure"] == structure]


def _by_person(rows: pd.DataFrame) -> pd.Series[float]:
    """Mean log density of each person: visits and structures of one person are no independent witnesses."""
    return rows.groupby("participant_id", sort=True)["log_density"].mean()


def _moments(z: Floats) -> dict[str, float]:
    sd = float(z.std())
    standard = (z - z.mean()) / sd if sd > 0 else 0.0 * z
    return {
        "mean_z": float(z.mean()),
        "sd_z": sd,
        "skewness": float((standard**3).mean()),
        "excess_kurtosis": float((standard**4).mean()) - 3.0,
        "beyond_3": float((np.abs(z) > 3.0).mean()),
        "pit_ks": pit_distance(z),
    }


def pit_distance(z: Floats) -> float:
    """Kolmogorov and Smirnov's distance of the centiles of z (n,) from an even distribution."""
    pit = np.sort(special.ndtr(z))
    steps = np.arange(len(pit) + 1) / len(pit)
    return float(max((steps[1:] - pit).max(), (pit - steps[:-1]).max()))


def _bins(one: HeldOut) -> pd.DataFrame:
    rows = one.rows
    place = np.searchsorted(AGE_BINS, rows["age"].to_numpy(dtype=np.float64), side="right") - 1
    ages = [f"{AGE_BINS[k]}-{AGE_BINS[k + 1] - 1}" if k < len(AGE_BINS) - 2 else f"{AGE_BINS[k]}-" for k in place]
    found = []
    for by, column in (("age", pd.Series(ages, index=rows.index)), ("site", rows["site"])):
        for name in [_ALL, *dict.fromkeys(rows["structure"])]:
            some = _of(rows, name)
            found += [
                {"model": one.model, "structure": name, "by": by, "bin": str(value)} | _bin(part)
                for value, part in some.groupby(column.loc[some.index], sort=False)
                if value != ""
            ]
    table = pd.DataFrame(found)
    first = table["bin"].str.extract(r"^([0-9]+)-", expand=False).astype(float).where(table["by"] == "age", 0.0)
    return table.assign(first=first).sort_values(["by", "structure", "first", "bin"]).drop(columns="first")


def _bin(part: pd.DataFrame) -> dict[str, float | int]:
    z = part["z"].to_numpy(dtype=np.float64)
    persons = part.groupby("participant_id")["inside"].mean()
    share = float(persons.mean())
    # Structures of one person hang together: the interval is one over people, in Wilson's form.
    n, squared = len(persons), _TWO_SIDED**2
    varied = float(persons.var(ddof=0))
    effective = n * share * (1.0 - share) / varied if varied > 0 else float(n)
    centre = (share + squared / (2.0 * effective)) / (1.0 + squared / effective)
    half = _TWO_SIDED * np.sqrt(share * (1.0 - share) / effective + squared / (4.0 * effective**2))
    half = float(half) / (1.0 + squared / effective)
    return {
        "people": n,
        "inside": share,
        "inside_low": centre - half,
        "inside_high": centre + half,
        "below": float((~part["inside"] & (z < 0)).mean()),
        "above": float((~part["inside"] & (z > 0)).mean()),
        "mean_z": float(z.mean()),
        "sd_z": float(z.std()),
        "pit_ks": pit_distance(z),
    }


def _recommend(models: pd.DataFrame, bins: pd.DataFrame) -> tuple[str, list[str]]:
    """The simplest model that is not certainly behind the best one, and what is left wrong with it."""
    overall = models[models["structure"] == _ALL]
    best = str(overall.sort_values("log_score")["model"].iloc[-1])
    scores = overall.to_dict("records")
    near = [str(row["model"]) for row in scores if row["model"] == best or not row["behind_low"] > 0]
    taken = min(near, key=lambda model: (0 if model == "paper" else 1 + model.count("+"), near.index(model)))
    row = next(row for row in scores if row["model"] == taken)
    sentences = [f"recommended: --model {taken} (held-out log score {row['log_score']:.4f} per cm3)"]
    if taken != best:
        sentences.append(
            f"{best} scores higher by {row['behind']:.4f} ({row['behind_low']:.4f} to {row['behind_high']:.4f}), which "
            "may be chance; of models that cannot be told from the best one the simplest is taken"
        )
    sentences += [
        f"{other['model']} is behind {best} by {other['behind']:.4f} ({other['behind_low']:.4f} to "
        f"{other['behind_high']:.4f})"
        for other in scores
        if other["model"] not in near
    ]
    own = bins[(bins["model"] == taken) & (bins["structure"] == _ALL) & (bins["people"] >= LEAST_IN_BIN)]
    off = own[(own["inside_low"] > 0.95) | (own["inside_high"] < 0.95)]
    if len(off):
        names = [
            f"{one['by']} {one['bin']}: {100 * one['inside']:.1f}% of {one['people']}" for one in off.to_dict("records")
        ]
        sentences.append(f"its 95% bounds do not hold 95% at {listed(names)}")
    else:
        sentences.append("its 95% bounds hold 95% in every bin of age and site with 20 people, as far as chance allows")
    if row["excess_kurtosis"] > _HEAVY:
        sentences.append(
            f"tails are heavier than the model's (excess kurtosis {row['excess_kurtosis']:.2f}, |z| > 3 in "
            f"{100 * row['beyond_3']:.2f}% instead of 0.27%): look at flags.tsv, or try shape or robust"
        )
    return taken, sentences
