"""Where people stand: z, centile, inside or outside, for each structure."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.errors import FitError, MismatchError
from lifespan.fitting import refuse_visits
from lifespan.grouping import groups_of
from lifespan.measures import ABSOLUTE, UNITS, measured
from lifespan.models.counts import FEW
from lifespan.models.curve import Curve
from lifespan.models.model import Key, LifespanModel
from lifespan.people import NOT_STATED, SEX_OF_GROUP, People
from lifespan.simulated import refuse_simulated
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table

LEAST_CONTROLS = 5
"""Fewer healthy people of a site teach nothing about it."""

INSIDE, BELOW, ABOVE, NOT_SCORED = "inside", "below", "above", "not scored"


def score(
    model: LifespanModel,
    table: Path | str | pd.DataFrame | People,
    *,
    extrapolate: bool = False,
    controls: Path | str | pd.DataFrame | People | None = None,
    pooled: bool = False,
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Compare people with the curves of a model.

    Parameters
    ----------
    model : LifespanModel
    table : Path, str, DataFrame or People
    extrapolate : bool
        Answer outside the fitted ages, marked in the column `note`; by default such rows are not scored.
    controls : Path, str, DataFrame or People, optional
        Healthy people of sites that a model with sites does not know; their site's shift and spread are learnt.
    pooled : bool
        Use the curves of all people; by default those of each person's sex, and of all where that is not known.
    reading : Reading, optional

    Returns
    -------
    scores : DataFrame
        One row a person, visit, structure and measure: participant_id, session, age, sex, site, structure, measure,
        unit, group, value, mean, lower, upper (95% prediction bounds), z, centile, status (inside, below, above, not
        scored), people_near (of the fit, within five years of age), note.

    Raises
    ------
    MismatchError
        The model was not fitted for this table: tool, structures, ICV method, sites.
    TableError
        The table cannot be used.
    """
    people = check_fits(model, read_table(table, reading))
    if controls is not None:
        model = transfer(model, controls, reading=reading)
    groups = np.array([group_of(model, sex, pooled) for sex in people.texts("sex")])
    sites = people.texts("site")
    parts = []
    for structure, measure, group in product(model.structures, model.measures, dict.fromkeys(groups)):
        rows = np.flatnonzero(groups == group)
        # Where too few people of one sex had this structure, there is the curve of all.
        curve = model.curves.get((structure, measure, group)) or model.curves.get((structure, measure, "all"))
        if curve is not None:
            parts.append(_score_rows(model, curve, people.take(rows), rows, [sites[k] for k in rows], extrapolate))
    if not parts:
        return pd.DataFrame()
    scores = pd.concat(parts, ignore_index=True)
    structure_order = {name: k for k, name in enumerate(model.structures)}
    measure_order = {name: k for k, name in enumerate(model.measures)}
    keys = [scores["measure"].map(measure_order), scores["structure"].map(structure_order), scores["_row"]]
    ordered: pd.DataFrame = scores.iloc[np.lexsort(keys)].drop(columns="_row").reset_index(drop=True)
    return ordered


def check_fits(model: LifespanModel, people: People) -> People:
    """The part of a table that a model is for.

    Raises
    ------
    MismatchError
        Another tool, other structures or another ICV method.
    """

    def refuse(expected: str, found: str, do: str) -> None:
        raise MismatchError(people.source, expected=expected, found=found, do=do)

    if people.tool != model.tool:
        do = "Use a model of the same tool; if it is the same, say so with --tool."
        refuse(f"volumes of the model's tool, {model.tool}", people.tool, do)
    needs_icv = any(measure != ABSOLUTE for measure in model.measures)
    if needs_icv and people.has_icv and people.icv_method != model.icv_method:
        do = "Use a model of the same method; if it is the same, say so with --icv-method."
        refuse(f"intracranial volumes by the model's method, {model.icv_method}", people.icv_method, do)
    if needs_icv and not people.has_icv:
        refuse("intracranial volumes, which the model divides by", "none", "Add a column such as icv_mm3.")
    other = [name for name in people.structures if name not in model.structures]
    missing = [name for name in model.structures if name not in people.structures]
    if other or missing:
        found = "; ".join(
            text
            for text in (
                f"{listed(other)}, which the model has not" if other else "",
                f"no {listed(missing)}" if missing else "",
            )
            if text
        )
        do = "Give the structures that were fitted; --structures leaves others out of a wide table."
        refuse(f"the model's structures, {listed(list(model.structures))}", found, do)
    return people


def transfer(
    model: LifespanModel, controls: Path | str | pd.DataFrame | People, *, reading: Reading | None = None
) -> LifespanModel:
    """Teach a model with sites the sites of some controls.

    Parameters
    ----------
    model : LifespanModel
    controls : Path, str, DataFrame or People
        Healthy people, with a column site. A site that the model knows is learnt anew.

    Returns
    -------
    model : LifespanModel
        Its warnings say which controls were not used, and why.

    Raises
    ------
    MismatchError
        The model has no sites, or controls have no site.
    FitError
        The controls are simulated, several visits of a person stand in a model without visits, or a site has fewer than
        five people.
    """
    people = check_fits(model, read_table(controls, reading))
    refuse_simulated(people)
    refuse_visits(people, model.choice)
    if not model.choice.sites:
        raise MismatchError(
            people.source,
            expected="a model with sites",
            found=f"one of {model.choice}",
            do="Fit it with sites in --model; only then is it known how much sites differ.",
        )
    names = sorted(set(people.texts("site")))
    if "" in names:
        raise MismatchError(people.source, expected="a site of every control", found="none", do="Fill the column site.")
    warnings = [*people.warnings, *_unused(model, people)]
    curves: dict[Key, Curve] = dict(model.curves)
    for name in names:
        members = people.take(np.array(people.texts("site")) == name)
        warnings += _few_controls(members, name)
        for key, curve in curves.items():
            curves[key] = _with_site(model, curve, members, name)
    return replace(model, curves=curves, warnings=(*model.warnings, *warnings))


def _few_controls(members: People, name: str) -> list[str]:
    count = len(set(members.texts("participant_id")))
    if count < LEAST_CONTROLS:
        raise FitError(
            members.source,
            expected=f"at least {LEAST_CONTROLS} healthy people of site {name}",
            found=str(count),
            do="Give more controls of that site, or none: its people then get the bounds of a random site.",
        )
    few = [f"site {name} is learnt from {count} controls: below {FEW} its shift stays much in doubt"]
    return few if count < FEW else []


def _unused(model: LifespanModel, people: People) -> list[str]:
    """Which controls teach nothing: no sex where women and men have their own curves, ages beyond the fit, no value."""
    told = []
    names, sexes = people.texts("row"), people.texts("sex")
    groups = [group_of(model, sex, pooled=False) for sex in sexes]
    beyond = []
    for name, group, age in zip(names, groups, people.age, strict=True):
        own = [curve for key, curve in model.curves.items() if key[2] == group]
        if not any(curve.age_low <= age <= curve.age_high for curve in own):
            beyond.append(f"{name} ({age:g} years)")
    if beyond:
        told.append(f"{len(beyond)} controls are outside the fitted ages and not used: {listed(beyond)}")
    unknown = [name for name, sex in zip(names, sexes, strict=True) if not sex]
    if unknown and "female" in model.groups:
        told.append(f"{len(unknown)} controls without sex are used for the curve of all alone: {listed(unknown)}")
    for structure in people.structures:
        missing = np.flatnonzero(~np.isfinite(people.volumes[structure].to_numpy(dtype=np.float64)))
        if len(missing):
            where = listed([names[k] for k in missing])
            told.append(f"{len(missing)} controls without {structure} are not used for it: {where}")
    return told


def _with_site(model: LifespanModel, curve: Curve, controls: People, name: str) -> Curve:
    """One curve with one more site; women and men, who share their sites, learn it from the controls of both."""
    ages, residuals, sd, ids = [], [], [], list[str]()
    for group in [curve.group] if curve.group == "all" else list(SEX_OF_GROUP):
        own = model.curves.get((curve.structure, curve.measure, group))
        if own is None:
            continue
        members = controls.take(controls.in_group(group))
        members = members.take((members.age >= own.age_low) & (members.age <= own.age_high))
        values = own.fitted_scale(values_of(model, own, members))
        known = np.isfinite(values)
        ages.append(members.age[known])
        residuals.append((values - own.mean.value(members.age))[known])
        sd.append(own.spread.sd(members.age)[known])
        ids += members.take(known).texts("participant_id")
    persons = groups_of(ids)[0] if model.choice.visits and len(set(ids)) < len(ids) else None
    return curve.transferred(name, np.concatenate(ages), np.concatenate(residuals), np.concatenate(sd), persons)


def group_of(model: LifespanModel, sex: str, pooled: bool) -> str:
    """Whose curve a person of a sex (F, M or "") is compared with."""
    own = {value: group for group, value in SEX_OF_GROUP.items()}.get(sex, "all")
    return "all" if pooled or own not in model.groups else own


def values_of(model: LifespanModel, curve: Curve, people: People) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(n,) what a curve is of: volumes, with the size of the head taken out if its measure says so."""
    volume = people.volumes[curve.structure].to_numpy(dtype=np.float64)
    return measured(curve.measure, volume, people.icv_cm3, curve.icv_exponent, model.reference_icv_cm3)


def _score_rows(
    model: LifespanModel,
    curve: Curve,
    people: People,
    rows: np.ndarray[tuple[int], np.dtype[np.intp]],
    sites: list[str],
    extrapolate: bool,
) -> pd.DataFrame:
    age, value = people.age, values_of(model, curve, people)
    outside = (age < curve.age_low) | (age > curve.age_high)
    predicted = curve.predict(age, sites)
    lower, upper = predicted.bounds()
    z, centile = predicted.z(value), predicted.centile(value)
    status = np.where(value < lower, BELOW, np.where(value > upper, ABOVE, INSIDE)).astype(object)
    scored = np.isfinite(value) & (extrapolate | ~outside)
    status[~scored] = NOT_SCORED
    near = model.counts.near(curve.group, age, curve.structure, curve.measure).astype(int)
    table = people.frame[["participant_id", "session", "age", "sex", "site"]].copy()
    table["structure"], table["measure"], table["unit"] = curve.structure, curve.measure, UNITS[curve.measure]
    table["group"], table["value"] = curve.group, value
    for name, column in (("mean", predicted.curve), ("lower", lower), ("upper", upper), ("z", z)):
        table[name] = np.where(scored, column, np.nan)
    table["centile"] = np.where(scored, centile, np.nan)
    table["status"], table["people_near"] = status, near
    table["note"] = _notes(curve, age, value, near, sites, extrapolate)
    table["_row"] = rows
    return table


def _notes(
    curve: Curve,
    age: np.ndarray[tuple[int], np.dtype[np.float64]],
    value: np.ndarray[tuple[int], np.dtype[np.float64]],
    near: np.ndarray[tuple[int], np.dtype[np.int_]],
    sites: list[str],
    extrapolate: bool,
) -> list[str]:
    notes = []
    for k in range(len(age)):
        said = []
        if not np.isfinite(value[k]):
            said.append("no value")
        if not curve.age_low <= age[k] <= curve.age_high:
            fitted = f"{curve.age_low:g} to {curve.age_high:g} years"
            said.append(f"extrapolated: fitted {fitted}" if extrapolate else f"age outside the fitted {fitted}")
        elif near[k] < FEW:
            said.append(f"few people: {near[k]} within five years of age")
        if curve.sites is not None and sites[k] not in curve.sites.names:
            said.append(f"site {sites[k] or NOT_STATED} is not known to the model: bounds of a random site")
        notes.append("; ".join(said))
    return notes
