"""People scored by models that were fitted without them: every visit of a person is on one side."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifespan.arrays import Ints
from lifespan.errors import FitError
from lifespan.fitting import earliest_visits, fit
from lifespan.measures import ABSOLUTE
from lifespan.models.choice import ModelChoice
from lifespan.models.model import LifespanModel
from lifespan.people import SEX_OF_GROUP, People

FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """What a model says of people who were not in its fit.

    Attributes
    ----------
    model : str
        Words of `--model`.
    rows : DataFrame
        One row a visit and structure: row (of the table), participant_id, age, sex, site, structure, z, log_density
        (natural logarithm, per cm3), inside (of the 95% bounds).
    seconds : float
        Of all fits and predictions.
    """

    model: str
    rows: pd.DataFrame
    seconds: float


def held_out(people: People, model: str, folds: int = FOLDS, seed: int = 0) -> HeldOut:
    """Cross-validation by people.

    Each person is predicted by the curve of their sex, or of all where that is not known. Ages that a fold's fit did
    not see are left out. A model that knows no visits is fitted to everybody's earliest one.

    Parameters
    ----------
    people : People
    model : str
    folds : int
    seed : int
        Of the division into folds: the same for every model.

    Raises
    ------
    FitError
        The model cannot be fitted to these people.
    """
    choice, fold, start = ModelChoice.parse(model), folds_of(people, folds, seed), time.perf_counter()
    parts = []
    for k in range(folds):
        seen, rows = people.take(fold != k), np.flatnonzero(fold == k)
        fitted = fit(seen if choice.visits else earliest_visits(seen), model=choice, icv="none")
        parts.append(predicted(fitted, people.take(rows), rows))
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise FitError(people.source, expected="people of the fitted ages", found="none", do="Give more people.")
    return HeldOut(str(choice), found, time.perf_counter() - start)


def folds_of(people: People, folds: int, seed: int) -> Ints:
    """(n,) fold of each row. Neighbours in age of one site and sex go to different folds; visits stay together."""
    rng = np.random.default_rng(seed)
    first = people.frame.assign(place=np.arange(len(people))).sort_values(["site", "sex", "age", "place"])
    names = first["participant_id"].drop_duplicates().astype(str).tolist()
    dealt = np.concatenate([rng.permutation(folds) for _ in range(-(-len(names) // folds))])[: len(names)]
    fold = dict(zip(names, dealt.tolist(), strict=True))
    return np.array([fold[name] for name in people.texts("participant_id")], dtype=np.intp)


def predicted(model: LifespanModel, people: People, rows: Ints) -> pd.DataFrame:
    """z, log density and whether inside, of each visit and structure; `rows` are the places in the whole table."""
    group_of_sex = {sex: group for group, sex in SEX_OF_GROUP.items()}
    sexes, sites, parts = np.array(people.texts("sex")), people.texts("site"), []
    for structure in model.structures:
        value = people.volumes[structure].to_numpy(dtype=np.float64)
        for sex in dict.fromkeys(sexes.tolist()):
            own = (structure, ABSOLUTE, group_of_sex.get(sex, "all"))
            curve = model.curves.get(own) or model.curves.get((structure, ABSOLUTE, "all"))
            if curve is None:
                continue
            fitted = (people.age >= curve.age_low) & (people.age <= curve.age_high)
            here = np.flatnonzero((sexes == sex) & np.isfinite(value) & fitted)
            if not len(here):
                continue
            expected = curve.predict(people.age[here], [sites[k] for k in here])
            lower, upper = expected.bounds()
            part = people.frame.iloc[here][["participant_id", "age", "sex", "site"]].copy()
            part.insert(0, "row", rows[here])
            part["structure"] = structure
            part["z"], part["log_density"] = expected.z(value[here]), expected.log_density(value[here])
            part["inside"] = (value[here] >= lower) & (value[here] <= upper)
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
