"""`change`: did a person change more between two visits than people do?"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from lifespan.arrays import Floats, Ints
from lifespan.errors import MismatchError, TableError
from lifespan.measures import UNITS
from lifespan.models.correlation import VisitCorrelation
from lifespan.models.curve import Curve
from lifespan.models.model import LifespanModel, name_digest
from lifespan.people import People
from lifespan.scoring import check_fits, group_of, values_of
from lifespan.tables.read import Reading, read_table

USUAL, LESS, MORE, NOT_SCORED = "usual", "less", "more", "not scored"

_TWO_SIDED = float(special.ndtri(0.975))


def change(
    model: LifespanModel,
    table: Path | str | pd.DataFrame | People,
    *,
    pooled: bool = False,
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Each later visit of a person, given their first one.

    With the normal scores z1 and z2 of two visits and their correlation r, (z2 - r z1) / sqrt(1 - r^2) is a normal
    score for what is new in the second. r comes from the model's own repeats, and falls with the years between visits
    where they show it. A site that the model does not know has the same shift at both visits, and r is larger for it.

    Parameters
    ----------
    model : LifespanModel
        Fitted with visits.
    table : Path, str, DataFrame or People
        With two or more visits of some people, told apart by session; they need not be the people of the fit.
    pooled : bool
        Use the curves of all people; by default those of each person's sex.
    reading : Reading, optional

    Returns
    -------
    changes : DataFrame
        One row a person, later visit, structure and measure: participant_id, session_before, session, age_before, age,
        years, sex, site, structure, measure, unit, group, value_before, value, change, expected, lower, upper (of the
        later value, given the earlier one: 95% of people; beyond them a change is reliable), correlation, z_before, z,
        z_change, p (two-sided), status (usual, less, more, not scored), in_fit (a person of that name was in the fit),
        note.

    Raises
    ------
    MismatchError
        The model was not fitted with visits, or not for this table.
    TableError
        The table cannot be used, or nobody has two visits.
    """
    people = check_fits(model, read_table(table, reading))
    if not model.choice.visits:
        raise MismatchError(
            people.source,
            expected="a model with visits",
            found=f"one of {model.choice}",
            do="Fit people of whom some have several visits, with visits in --model: it learns how alike they are.",
        )
    first, later = _visit_pairs(people)
    if not len(first):
        do = "Give several rows of a person, with a column session or --visit-pattern."
        raise TableError(people.source, expected="people with two visits", found="none", do=do)
    groups = np.array([group_of(model, sex, pooled) for sex in people.texts("sex")])
    parts = []
    for structure, measure, group in product(model.structures, model.measures, dict.fromkeys(groups[first].tolist())):
        here = np.flatnonzero(groups[first] == group)
        curve = model.curves.get((structure, measure, group)) or model.curves.get((structure, measure, "all"))
        if curve is not None:
            parts.append(_changes(model, curve, people, first[here], later[here]))
    order = {name: k for k, name in enumerate(model.structures)}
    found = pd.concat(parts, ignore_index=True)
    keys = [found["measure"], found["structure"].map(order), found["_row"]]
    ordered: pd.DataFrame = found.iloc[np.lexsort(keys)].drop(columns="_row").reset_index(drop=True)
    return ordered


def _visit_pairs(people: People) -> tuple[Ints, Ints]:
    """Rows of everybody's first visit and of each later one."""
    order = np.lexsort([people.age, np.array(people.texts("participant_id"))])
    names = np.array(people.texts("participant_id"))[order]
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    first = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    later = first != order
    place = np.argsort(order[later], kind="stable")
    return first[later][place], order[later][place]


def _changes(model: LifespanModel, curve: Curve, people: People, first: Ints, later: Ints) -> pd.DataFrame:
    one, two = people.take(first), people.take(later)
    value_before, value = values_of(model, curve, one), values_of(model, curve, two)
    sites, years = two.texts("site"), two.age - one.age
    before, after = curve.predict(one.age, one.texts("site")), curve.predict(two.age, sites)
    z_before, z = before.z(value_before), after.z(value)
    rho = _correlation(curve, years, one, sites)
    left = np.sqrt(1.0 - rho**2)
    z_change = (z - rho * z_before) / left
    expected, lower, upper = (
        after.quantile(special.ndtr(rho * z_before + k * left)) for k in (0.0, -_TWO_SIDED, _TWO_SIDED)
    )
    moved = np.array(one.texts("site")) != np.array(sites)
    moved &= curve.sites is not None
    fitted = np.minimum(one.age, two.age) >= curve.age_low
    fitted &= np.maximum(one.age, two.age) <= curve.age_high
    scored = np.isfinite(z_change) & fitted & ~moved
    status = np.where(z_change < -_TWO_SIDED, LESS, np.where(z_change > _TWO_SIDED, MORE, USUAL)).astype(object)
    status[~scored] = NOT_SCORED
    table = two.frame[["participant_id", "session", "age", "sex", "site"]].copy()
    table.insert(1, "session_before", one.texts("session"))
    table.insert(3, "age_before", one.age)
    table.insert(5, "years", years)
    table["structure"], table["measure"], table["unit"] = curve.structure, curve.measure, UNITS[curve.measure]
    table["group"], table["value_before"], table["value"] = curve.group, value_before, value
    table["change"] = value - value_before
    numbers = {"expected": expected, "lower": np.maximum(lower, 0.0), "upper": upper, "correlation": rho}
    numbers |= {"z_before": z_before, "z": z, "z_change": z_change, "p": 2.0 * special.ndtr(-np.abs(z_change))}
    for name, column in numbers.items():
        table[name] = np.where(scored, column, np.nan)
    table["status"] = status
    seen = [name_digest(name) in model.people_digests for name in two.texts("participant_id")]
    table["in_fit"] = seen
    table["note"] = _notes(curve, value_before, value, fitted, moved, sites, seen)
    table["_row"] = later
    return table


def _correlation(curve: Curve, years: Floats, one: People, sites: list[str]) -> Floats:
    """(n,) of the normal scores of two visits."""
    rho = (curve.correlation or VisitCorrelation(curve.rho)).at(years)
    if curve.sites is None:
        return rho
    within, between = curve.spread.sd(one.age) ** 2, curve.sites.between_sd**2
    unknown = np.array([site not in curve.sites.names for site in sites])
    return np.asarray(np.where(unknown, (between + rho * within) / (between + within), rho))


def _notes(
    curve: Curve,
    value_before: Floats,
    value: Floats,
    fitted: np.ndarray,
    moved: np.ndarray,
    sites: list[str],
    seen: list[bool],
) -> list[str]:
    notes = []
    for k in range(len(value)):
        said = []
        if not np.isfinite(value[k] + value_before[k]):
            said.append("no value")
        if not fitted[k]:
            said.append(f"age outside the fitted {curve.age_low:g} to {curve.age_high:g} years")
        if moved[k]:
            said.append("the visits are of two sites: what they differ by is no change of the person")
        elif curve.sites is not None and sites[k] not in curve.sites.names:
            said.append(f"site {sites[k] or 'not stated'} is not known to the model")
        if seen[k]:
            said.append("a person of this name was in the fit")
        notes.append("; ".join(said))
    return notes
