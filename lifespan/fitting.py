"""`fit`: from a table of people to a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.errors import FitError
from lifespan.flagging import flag_warnings, flags_of, neighbours_of, refuse_absurd
from lifespan.grouping import groups_of
from lifespan.measures import ICV_CHOICES, POWER, icv_exponent, measured
from lifespan.models.choice import ModelChoice
from lifespan.models.components import Rows
from lifespan.models.counts import Counts
from lifespan.models.curve import Curve
from lifespan.models.decisions import MUCH_BETTER, refused_though_better
from lifespan.models.model import Key, LifespanModel, name_digest
from lifespan.models.paper_fit import fit_paper
from lifespan.models.variant import fit_variant
from lifespan.people import GROUPS, NOT_STATED, People, fitted_rows
from lifespan.simulated import refuse_simulated
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table

LEAST_PEOPLE = 20
"""Fewer people of a group are not fitted."""

FEW_SITES = 5
"""Fewer sites are warned of."""


def fit(
    table: Path | str | pd.DataFrame | People,
    *,
    model: str | ModelChoice = "paper",
    icv: str = "ratio",
    one_visit: bool = False,
    reading: Reading | None = None,
) -> LifespanModel:
    """Fit a curve to every structure, for all people, female and male.

    Parameters
    ----------
    table : Path, str, DataFrame or People
        See `lifespan.read_table`.
    model : str or ModelChoice
        Words of `lifespan.models.choice.WORDS` joined by +.
    icv : str
        "ratio": volumes and per cent of ICV; "power": volumes, and volumes at one ICV by a power law; "none": volumes.
        Without intracranial volumes in the table only volumes are fitted, with a warning.
    one_visit : bool
        Of several visits of one person, take the earliest.
    reading : Reading, optional

    Returns
    -------
    model : LifespanModel

    Raises
    ------
    TableError
        The table cannot be used.
    FitError
        It can, but not for this model: visits, sites, too few people, one age; its people are simulated; or far values
        made bounds that tell nothing.
    ValueError
        Unknown words in `model` or `icv`.
    """
    choice = ModelChoice.parse(model) if isinstance(model, str) else model
    if icv not in ICV_CHOICES:
        raise ValueError(f"icv {icv!r}: expected one of {', '.join(ICV_CHOICES)}.")
    people = read_table(table, reading)
    if one_visit:
        people = earliest_visits(people)
    refuse_simulated(people)
    warnings = list(people.warnings)
    _refuse(people, choice, warnings)
    if people.tool == NOT_STATED:
        warnings.append("nothing tells which tool made the volumes; --tool keeps the model from tables of another one")
    measures = ICV_CHOICES[icv]
    if not people.has_icv and icv != "none":
        warnings.append("there are no intracranial volumes: only absolute volumes are fitted")
        measures = ICV_CHOICES["none"]
    reference = float(np.exp(np.nanmean(np.log(people.icv_cm3)))) if POWER in measures else None
    curves: dict[Key, Curve] = {}
    for groups in _fitted_together(people, choice, warnings):
        for measure in measures:
            for curve in _curves(people, measure, groups, choice, reference, warnings):
                curves[curve.structure, measure, curve.group] = curve
    if not curves:
        raise FitError(
            people.source,
            expected=f"at least {LEAST_PEOPLE} people",
            found=str(_persons(people, "all")),
            do="Curves of fewer would tell chance.",
        )
    neighbours = neighbours_of(curves, people, reference)
    flags = flags_of(curves, people, reference, neighbours)
    refuse_absurd(curves, people.source, neighbours, flags)
    warnings += [*flag_warnings(flags), *_refused_forms(curves.values()), *_below_0(curves.values())]
    counts = Counts.of(people, {key: fitted_rows(people, *key) for key in curves})
    order = {name: k for k, name in enumerate(people.structures)}
    ordered = dict(sorted(curves.items(), key=lambda item: order[item[0][0]]))
    return LifespanModel(
        ordered,
        choice,
        people.tool,
        people.icv_method,
        people.source,
        counts,
        reference,
        people.totals,
        (*warnings, *counts.warnings()),
        frozenset(map(name_digest, people.texts("participant_id"))),
    )


def refuse_visits(people: People, choice: ModelChoice) -> None:
    """Refuse several visits of a person where the model takes rows as people.

    Raises
    ------
    FitError
        There are some.
    """
    names, counts = np.unique(people.texts("participant_id"), return_counts=True)
    several = [str(name) for name in names[counts > 1]]
    if several and not choice.visits:
        raise FitError(
            people.source,
            expected="one visit of each person",
            found=f"several of {len(several)} people: {listed(several)}",
            do="Add visits to --model, or take the earliest with --one-visit.",
        )


def earliest_visits(people: People) -> People:
    """One row a person: the youngest."""
    order = np.lexsort([people.age, np.array(people.texts("participant_id"))])
    ids = np.array(people.texts("participant_id"))[order]
    first = np.append(True, ids[1:] != ids[:-1])
    return people.take(np.sort(order[first]))


def _refused_forms(curves: Iterable[Curve]) -> list[str]:
    """Where the paper's tests refuse a form that describes the people much better than the one they leave."""
    told = []
    for curve in curves:
        better = refused_though_better(curve.decisions)
        if better is not None:
            by = next(decision.bic for decision in curve.decisions if decision.chosen) - better.bic
            told.append(f"{curve.structure} ({curve.group}, {curve.measure}): {better.candidate}, by {by:.0f}")
    if not told:
        return []
    return [
        f"the paper's tests refuse a form whose BIC is lower by more than {MUCH_BETTER:g} in {len(told)} curves: "
        f"{listed(told)}; decisions.tsv says which test. Other words of --model do not test b0"
    ]


def _below_0(curves: Iterable[Curve]) -> list[str]:
    """Curves whose lower bound was cut off at 0 somewhere."""
    cut = [
        f"{curve.structure} ({curve.group}, {curve.measure})"
        for curve in curves
        if float(curve.predict(np.linspace(curve.age_low, curve.age_high, 50)).quantile(0.025).min()) < 0.0
    ]
    if not cut:
        return []
    return [f"lower bounds would lie below 0 and were cut off there in {listed(cut)}; add log to --model"]


def _refuse(people: People, choice: ModelChoice, warnings: list[str]) -> None:
    refuse_visits(people, choice)
    ids = people.texts("participant_id")
    if float(people.age.min()) == float(people.age.max()):
        found = f"{people.age[0]:g} years in every row"
        raise FitError(people.source, expected="people of several ages", found=found, do="Give a table over life.")
    if not choice.sites:
        return
    sites = people.texts("site")
    if 1 < len(set(sites)) < FEW_SITES:
        warnings.append(
            f"{len(set(sites))} sites are few to learn from how much sites differ: bounds of a site that the model "
            "does not know lean on a prior, and may be too wide or too narrow"
        )
    unknown = [row for row, site in zip(people.texts("row"), sites, strict=True) if not site]
    if unknown or len(set(sites)) < 2:
        raise FitError(
            people.source,
            expected="a column site with at least two sites, filled in every row",
            found=f"none in {listed(unknown)}" if unknown else f"{len(set(sites))} site",
            do="Fill it, or leave sites out of --model.",
        )
    if choice.visits:
        places: dict[str, set[str]] = {}
        for name, site in zip(ids, sites, strict=True):
            places.setdefault(name, set()).add(site)
        moved = [f"{name} ({', '.join(sorted(where))})" for name, where in places.items() if len(where) > 1]
        if moved:
            raise FitError(
                people.source,
                expected="all visits of a person at one site",
                found=f"{len(moved)} people at several: {listed(moved)}",
                do="Keep the visits of one site of each of them.",
            )


def _fitted_together(people: People, choice: ModelChoice, warnings: list[str]) -> list[tuple[str, ...]]:
    """Groups with enough people: women and men together where they share sites, else each by itself."""
    counts = {group: _persons(people, group) for group in GROUPS}
    for group, count in counts.items():
        if count < LEAST_PEOPLE and group != "all":
            warnings.append(f"{group}: {count} people are too few to fit; at least {LEAST_PEOPLE} are needed")
    enough = [group for group in GROUPS if counts[group] >= LEAST_PEOPLE]
    sexes = tuple(group for group in enough if group != "all")
    if choice.sites and len(sexes) == 2:
        return [("all",), sexes]
    return [(group,) for group in enough]


def _curves(
    people: People,
    measure: str,
    groups: tuple[str, ...],
    choice: ModelChoice,
    reference: float | None,
    warnings: list[str],
) -> Iterator[Curve]:
    """Curves of some groups and one measure; structures with the same missing values go together."""
    together: dict[bytes, list[str]] = {}
    for name in people.structures:
        known = np.logical_or.reduce([fitted_rows(people, name, measure, group) for group in groups])
        together.setdefault(known.tobytes(), []).append(name)
    for mask, names in together.items():
        members = people.take(np.frombuffer(mask, dtype=np.bool_))
        told = f"{' and '.join(groups)}, {measure}"
        counts = [_persons(members, group) for group in groups]
        if min(counts) < LEAST_PEOPLE:
            warnings.append(f"{told}: {min(counts)} people with {listed(names)} are too few to fit")
        elif any(np.ptp(members.age[members.in_group(group)]) == 0 for group in groups):
            warnings.append(f"{told}: all people with {listed(names)} have the same age; not fitted")
        else:
            yield from _fit_names(members, names, measure, groups, choice, reference)


def _persons(people: People, group: str) -> int:
    """How many people of a group there are, however many visits they have."""
    return int(people.frame["participant_id"][people.in_group(group)].nunique())


def _fit_names(
    people: People,
    names: list[str],
    measure: str,
    groups: tuple[str, ...],
    choice: ModelChoice,
    reference: float | None,
) -> Iterator[Curve]:
    volumes = people.volumes[names].to_numpy(dtype=np.float64)
    same = [name for name, spread in zip(names, np.ptp(volumes, axis=0), strict=True) if spread == 0]
    if same:
        found = f"one value in every row of {listed(same)}"
        raise FitError(people.source, expected="volumes that differ", found=found, do="Take these structures out.")
    empty = [name for name, least in zip(names, volumes.min(axis=0), strict=True) if least <= 0]
    if empty and (choice.log or measure == POWER):
        found = f"0 in {listed(empty)}"
        do = "Take log out of --model and give --icv ratio or none, or leave these structures out."
        raise FitError(people.source, expected="volumes above 0, of which there is a logarithm", found=found, do=do)
    exponents: list[float | None] = [None] * len(names)
    if measure == POWER:
        sex, site = people.texts("sex"), people.texts("site")
        exponents = [icv_exponent(people.age, column, people.icv_cm3, sex, site) for column in volumes.T]
    columns = [
        measured(measure, column, people.icv_cm3, exponent, reference)
        for column, exponent in zip(volumes.T, exponents, strict=True)
    ]
    if choice.is_paper:
        fitted = [[curve] for curve in fit_paper(names, measure, groups[0], people.age, np.column_stack(columns))]
    else:
        rows, site_names = _rows(people, groups, choice)
        fitted = [
            fit_variant(name, measure, groups, column, rows, site_names, choice)
            for name, column in zip(names, columns, strict=True)
        ]
    for curves, exponent in zip(fitted, exponents, strict=True):
        for curve in curves:
            yield replace(curve, icv_exponent=exponent)


def _rows(people: People, groups: tuple[str, ...], choice: ModelChoice) -> tuple[Rows, tuple[str, ...]]:
    """Rows for a variant, and the names of the sites."""
    part = np.zeros(len(people), dtype=np.intp)
    for k, group in enumerate(groups):
        part[people.in_group(group)] = k
    ids = people.texts("participant_id")
    persons = groups_of(ids)[0] if choice.visits and len(set(ids)) < len(ids) else None
    sites, names = groups_of(people.texts("site")) if choice.sites else (None, ())
    return Rows(people.age, part, persons, sites), names
