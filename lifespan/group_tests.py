"""`groups`: patients against controls, structure by structure, with effect sizes and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from lifespan.arrays import Bools, Floats
from lifespan.comparing import holm
from lifespan.errors import FitError, MismatchError, TableError
from lifespan.measures import ABSOLUTE, UNITS
from lifespan.models.decisions import ALPHA
from lifespan.models.model import LifespanModel
from lifespan.people import People
from lifespan.scoring import check_fits, score
from lifespan.tables.load import from_frame, listed, load
from lifespan.tables.raw import PERSON, SESSION, find_column
from lifespan.tables.read import Reading, read_table

LEAST = 5
"""Fewer people of a group are not compared."""

_LEVEL = 0.95
_SEX = {"F": 0.0, "M": 1.0}


def compare_groups(
    table: Path | str | pd.DataFrame,
    column: str,
    *,
    controls: str,
    patients: str | None = None,
    model: LifespanModel | None = None,
    covariates: Sequence[str] = ("age", "sex"),
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Compare patients with controls.

    With a model the z-scores are compared, in which age and sex are taken out already; without one volumes, with age,
    age squared, sex and whatever else is named as covariates in a linear model with a standard error that does not
    trust the groups to spread alike (HC3: MacKinnon and White, Journal of Econometrics 29, 1985, 305-325).

    Parameters
    ----------
    table : Path, str or DataFrame
        Volumes, one row a person, and a column that tells who is a patient.
    column : str
        Its name.
    controls, patients : str
        What stands in it; by default everybody else with a value is a patient.
    model : LifespanModel, optional
        Fitted to other healthy people.
    covariates : sequence of str
        age, sex, icv, site, or other columns of the table; with a model age and sex are left out.
    reading : Reading, optional

    Returns
    -------
    effects : DataFrame
        One row a structure and measure: structure, measure, unit (z with a model), controls, patients (people),
        mean_controls, mean_patients, difference (patients less controls, adjusted), low, high (95%), d (Hedges' g of
        the adjusted difference), d_low, d_high, p, q (Benjamini and Hochberg), p_holm, significant (q < 0.05),
        significant_holm.

    Raises
    ------
    TableError
        The table cannot be used; there is no such column; several rows of one person.
    FitError
        Fewer than five people of a group.
    """
    people = read_table(table, reading)
    people = people if model is None else check_fits(model, people)
    ids = people.texts("participant_id")
    if len(set(ids)) < len(ids):
        several = sorted({name for name in ids if ids.count(name) > 1})
        do = "Keep one visit of each: the test takes people as independent."
        raise MismatchError(people.source, expected="one row a person", found=listed(several), do=do)
    words = _column_of(table, column, people, reading)
    patient = np.array([word not in ("", controls) if patients is None else word == patients for word in words])
    healthy = np.array([word == controls for word in words])
    for name, mask in ((controls, healthy), (patients or f"others than {controls}", patient)):
        if mask.sum() < LEAST:
            found = f"{int(mask.sum())}; {column} holds {listed(sorted(set(words)))}"
            do = "Give more people, or the words that stand in the table."
            raise FitError(people.source, expected=f"at least {LEAST} people of {name}", found=found, do=do)
    used = patient | healthy
    more = [name for name in covariates if model is None or name not in ("age", "sex")]
    columns = np.column_stack(
        [np.ones(len(people)), patient.astype(np.float64), *_columns(table, more, people, used, reading)]
    )
    rows = []
    for names, value in _values(people, model, reading):
        known = used & np.isfinite(value) & np.isfinite(columns).all(axis=1)
        if min((known & patient).sum(), (known & healthy).sum()) >= LEAST:
            rows.append(names | _effect(value[known], columns[known], patient[known]))
    if not rows:
        do = "Look at missing volumes and covariates."
        raise FitError(people.source, expected=f"{LEAST} people of both groups", found="fewer in all structures", do=do)
    effects = pd.DataFrame(rows)
    p = effects["p"].to_numpy(dtype=np.float64)
    effects["q"], effects["p_holm"] = benjamini_hochberg(p), holm(p)
    effects["significant"], effects["significant_holm"] = effects["q"] < ALPHA, effects["p_holm"] < ALPHA
    return effects


def benjamini_hochberg(p: Floats) -> Floats:
    """False discovery rates of p-values (k,) (Journal of the Royal Statistical Society B 57, 1995, 289-300)."""
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) / ranks), 1.0)
    return adjusted


def _effect(value: Floats, columns: Floats, patient: Bools) -> dict[str, object]:
    """Least squares with HC3 errors; the effect size is that of the residual spread, with Hedges' correction."""
    # A covariate that says nothing of these people (one sex, one site) takes its column away.
    kept = [k for k in range(columns.shape[1]) if k < 2 or np.ptp(columns[:, k]) > 0]
    x = columns[:, kept]
    q, r = np.linalg.qr(x)
    good = np.abs(np.diag(r)) > 1e-9 * np.abs(r).max()
    if not good.all():
        x = x[:, good]
        q, r = np.linalg.qr(x)
    b = np.linalg.solve(r, q.T @ value)
    residuals = value - x @ b
    leverage = np.minimum((q**2).sum(axis=1), 0.999)
    inverse = np.linalg.inv(r)
    meat = x * (residuals / (1.0 - leverage))[:, None]
    error = float(np.sqrt((((inverse @ inverse.T) @ (meat.T @ meat)) @ (inverse @ inverse.T))[1, 1]))
    freedom = len(value) - x.shape[1]
    sd = float(np.sqrt(residuals @ residuals / freedom))
    t = float(special.stdtrit(freedom, 0.5 + _LEVEL / 2))
    correction = 1.0 - 3.0 / (4.0 * freedom - 1.0)
    difference, d = float(b[1]), float(b[1]) / sd * correction
    # The variance of d is that of the difference, and half d^2 / freedom for the spread that it is divided by.
    half = t * float(np.hypot(error / sd * correction, d / np.sqrt(2.0 * freedom)))
    return {
        "controls": int((~patient).sum()),
        "patients": int(patient.sum()),
        "mean_controls": float(value[~patient].mean()),
        "mean_patients": float(value[patient].mean()),
        "difference": difference,
        "low": difference - t * error,
        "high": difference + t * error,
        "d": d,
        "d_low": d - half,
        "d_high": d + half,
        "p": float(2.0 * special.stdtr(freedom, -abs(difference) / error)),
    }


def _values(
    people: People, model: LifespanModel | None, reading: Reading | None
) -> list[tuple[dict[str, object], Floats]]:
    """What is compared: each structure's names and (n,) values."""
    if model is None:
        return [
            (
                {"structure": name, "measure": ABSOLUTE, "unit": UNITS[ABSOLUTE]},
                people.volumes[name].to_numpy(dtype=np.float64),
            )
            for name in people.structures
        ]
    scores = score(model, people, reading=reading)
    place = {name: k for k, name in enumerate(people.texts("participant_id"))}
    found = []
    for (measure, structure), part in scores.groupby(["measure", "structure"], sort=False):
        value = np.full(len(people), np.nan)
        value[[place[str(name)] for name in part["participant_id"]]] = part["z"].to_numpy(dtype=np.float64)
        found.append(({"structure": structure, "measure": measure, "unit": "z"}, value))
    return found


def _columns(
    table: Path | str | pd.DataFrame, names: Sequence[str], people: People, used: Bools, reading: Reading | None
) -> list[Floats]:
    """Columns of covariates: numbers as they are, words as one column for each but the first."""
    columns: list[Floats] = []
    for name in names:
        if name == "age":
            middle = float(people.age[used].mean())
            columns += [people.age - middle, (people.age - middle) ** 2]
        elif name == "sex":
            columns.append(np.array([_SEX.get(sex, np.nan) for sex in people.texts("sex")]))
        elif name == "icv":
            columns.append(people.icv_cm3)
        else:
            words = people.texts("site") if name == "site" else _column_of(table, name, people, reading)
            columns += _as_numbers(words, used)
    return columns


def _as_numbers(words: list[str], used: Bools) -> list[Floats]:
    numbers = pd.to_numeric(pd.Series(words).replace("", None), errors="coerce").to_numpy(dtype=np.float64)
    missing = np.array([word == "" for word in words])
    if np.isfinite(numbers[used & ~missing]).all():
        return [numbers]
    values = sorted({word for word, here in zip(words, used & ~missing, strict=True) if here})
    each = np.array(words)
    return [np.where(missing, np.nan, (each == value).astype(np.float64)) for value in values[1:]]


def _column_of(table: Path | str | pd.DataFrame, column: str, people: People, reading: Reading | None) -> list[str]:
    """A further column of the table, or of --participants, for each of the people; "" where missing."""
    sources: list[Path | str | pd.DataFrame] = [table]
    if reading is not None and reading.participants is not None:
        sources.append(reading.participants)
    seen: list[str] = []
    for source in sources:
        if not isinstance(source, pd.DataFrame) and Path(source).is_dir():
            continue
        cells, _ = from_frame(source, "the table") if isinstance(source, pd.DataFrame) else load(Path(source))
        names = [str(name) for name in cells.columns]
        seen += names
        person, session = find_column(names, PERSON), find_column(names, SESSION)
        if column not in names or person is None:
            continue
        keys = [str(name) for name in cells[person]]
        visits = [str(visit) for visit in cells[session]] if session else [""] * len(keys)
        words = ["" if str(word).lower() in ("", "n/a", "nan", "none") else str(word) for word in cells[column]]
        exact = dict(zip(zip(keys, visits, strict=True), words, strict=True))
        of_person = dict(zip(keys, words, strict=True))
        own = zip(people.texts("participant_id"), people.texts("session"), strict=True)
        return [exact.get((name, visit), of_person.get(name, "")) for name, visit in own]
    raise TableError(
        people.source, expected=f"a column {column}", found=f"the columns {listed(seen, 12)}", do="Add it."
    )
