"""Values far from those of people of the same age: told by row, never dropped; bounds that tell nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.arrays import Floats, Ints
from lifespan.errors import FitError
from lifespan.grouping import groups_of
from lifespan.measures import UNITS, measured
from lifespan.models.curve import Curve
from lifespan.models.model import Key, LifespanModel
from lifespan.models.shape import fit_shape
from lifespan.models.tails import FAR, robust_sd
from lifespan.people import People, fitted_rows
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table

ABSURD = 10.0
"""Bounds so many times as wide as those of people of the same age tell nothing."""

_NEIGHBOURS, _OF_SPREAD = 25, 75
"""People whose median, and whose spread, one value is compared with."""

_LEAST_OF_SITE = 8
_AGES = 25


def flag_table(
    model: LifespanModel, table: Path | str | pd.DataFrame | People, *, reading: Reading | None = None
) -> pd.DataFrame:
    """Values of the table that a model was fitted to, more than 5 robust standard deviations off.

    They are looked for twice: before the fit, from people of about the same age, so that no value hides behind a curve
    that it bent; and after it, from the curve. Skewness and tails are taken out first.

    Parameters
    ----------
    model : LifespanModel
    table : Path, str, DataFrame or People
        What `fit` was given.
    reading : Reading, optional

    Returns
    -------
    flags : DataFrame
        One row a value and group: row, participant_id, session, age, sex, site, structure, measure, unit, group, value,
        expected (the curve), before, after (deviations).
    """
    return flags_of(model.curves, read_table(table, reading), model.reference_icv_cm3)


def flags_of(
    curves: Mapping[Key, Curve],
    people: People,
    reference_icv_cm3: float | None,
    neighbours: Mapping[Key, Neighbours] | None = None,
) -> pd.DataFrame:
    """`flag_table` of some curves."""
    columns = ["row", "participant_id", "session", "age", "sex", "site"]
    found = []
    for key, of in (neighbours or neighbours_of(curves, people, reference_icv_cm3)).items():
        structure, measure, group = key
        curve = curves[key]
        expected, standardised = _from_curve(curve, of.people, curve.fitted_scale(of.value))
        t = curve.mean.basis.scaled(of.people.age)
        before, after = robust_deviations(of.deviations, t), robust_deviations(standardised, t)
        far = np.flatnonzero((np.abs(before) > FAR) | (np.abs(after) > FAR))
        if not len(far):
            continue
        part = of.people.frame.iloc[far][columns].copy()
        part["structure"], part["measure"], part["unit"], part["group"] = structure, measure, UNITS[measure], group
        part["value"], part["expected"] = of.value[far], expected[far]
        part["before"], part["after"] = before[far], after[far]
        found.append(part)
    names = ["structure", "measure", "unit", "group", "value", "expected", "before", "after"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*columns, *names])


@dataclass(frozen=True)
class Neighbours:
    """The people of one curve beside those of about the same age.

    Attributes
    ----------
    people : People
        n rows.
    value : (n,) float
        In the measure's unit.
    deviations : (n,) float
        See `from_neighbours`.
    spread : float
        Robust standard deviation about the medians of neighbours, all sites together.
    """

    people: People
    value: Floats
    deviations: Floats
    spread: float


def neighbours_of(
    curves: Mapping[Key, Curve], people: People, reference_icv_cm3: float | None
) -> dict[Key, Neighbours]:
    """The people of every curve beside their neighbours in age; curves of the same people go together."""
    members: dict[bytes, People] = {}
    together: dict[bytes, list[Key]] = {}
    for key in curves:
        mask = fitted_rows(people, *key)
        name = mask.tobytes()
        if name not in members:
            members[name] = people.take(mask)
        together.setdefault(name, []).append(key)
    found = {}
    for name, keys in together.items():
        some = members[name]
        values = np.column_stack([_value(curves[key], some, reference_icv_cm3) for key in keys])
        off = _off_median(some.age, values)
        deviations = _over_spread(some.age, off, some.texts("site"))
        for k, key in enumerate(keys):
            found[key] = Neighbours(some, values[:, k], deviations[:, k], robust_sd(off[:, k]))
    return {key: found[key] for key in curves}


def flag_warnings(flags: pd.DataFrame) -> list[str]:
    """One sentence, with rows and structures."""
    if not len(flags):
        return []
    names = described(flags)
    return [
        f"{len(names)} values are more than {FAR:g} robust standard deviations from those of people of the same age, "
        f"and were kept: {listed(names)}; flags.tsv has all. Look at these scans, or add robust to --model"
    ]


def described(flags: pd.DataFrame) -> list[str]:
    """Each flagged value once, the farthest first: row, person, structure, measure and value."""
    size = flags[["before", "after"]].abs().max(axis=1).astype(float)
    ordered = flags.assign(size=size).sort_values("size", ascending=False, kind="stable")
    once = ordered.drop_duplicates(["row", "structure", "measure"])
    return [
        f"{row.row} ({row.participant_id}) {row.structure} {row.value:.4g} {row.unit}, expected {row.expected:.4g}"
        for row in once.itertuples()
    ]


def refuse_absurd(
    curves: Mapping[Key, Curve], source: str, neighbours: Mapping[Key, Neighbours], flags: pd.DataFrame
) -> None:
    """Refuse curves whose bounds tell nothing.

    Raises
    ------
    FitError
        Bounds without end, or ten times as wide as those of people of the same age.
    """
    absurd = []
    for key, curve in curves.items():
        lower, upper = curve.predict(np.linspace(curve.age_low, curve.age_high, _AGES)).bounds()
        usual = 2.0 * 1.96 * neighbours[key].spread
        times = float(np.median(upper - lower)) / usual if usual > 0 else 1.0
        if not times <= ABSURD:
            absurd.append(f"{curve.structure} ({curve.group}, {curve.measure}) {times:.3g}")
    if absurd:
        names = described(flags)
        raise FitError(
            source,
            expected=f"bounds at most {ABSURD:g} times as wide as the people of an age lie apart",
            found=f"{listed(absurd)} times as wide as that" + (f"; far values: {listed(names)}" if names else ""),
            do="Look at these values, or add robust to --model.",
        )


def robust_deviations(x: Floats, t: Floats | None = None) -> Floats:
    """(n,) deviations from the median in robust standard deviations, skewness and tails taken out.

    Parameters
    ----------
    x : (n,) float
        Residuals over their spread.
    t : (n,) float, optional
        Scaled ages, by which skewness may change.
    """
    sd = robust_sd(x)
    if sd == 0.0:
        return np.zeros_like(x)
    deviations = (x - np.median(x)) / sd
    near = np.abs(deviations) <= FAR
    if near.all():
        return np.asarray(deviations)
    # Only where something is far does it matter whether it is skewness that puts it there.
    shape = fit_shape(deviations[near], None if t is None else t[near])
    if shape is None:
        return np.asarray(deviations)
    return np.asarray((shape.at(t) if t is not None else shape).normal_score(deviations))


def from_neighbours(age: Floats, value: Floats, site: list[str] | None = None) -> Floats:
    """(n,) values less the median of people of about the same age, and of the site, over the spread of such people.

    Parameters
    ----------
    age, value : (n,) float
    site : list of n str, optional
    """
    off = _off_median(age, value[:, None])
    return np.asarray(_over_spread(age, off, site)[:, 0])


def _over_spread(age: Floats, off: Floats, site: list[str] | None) -> Floats:
    """(n, S) deviations from the median of neighbours, and of the site, over the spread of about 75 neighbours."""
    if site is not None:
        sites, _ = groups_of(site)
        medians = pd.DataFrame(off).groupby(sites.index).median().to_numpy(dtype=np.float64)
        off = off - sites.spread_out(np.where(sites.sizes[:, None] >= _LEAST_OF_SITE, medians, 0.0))
    rows = _windows(age, _OF_SPREAD)
    least = np.array([0.3 * robust_sd(column) for column in off.T])
    spread = np.maximum(1.4826 * np.median(np.abs(off[rows]), axis=1), least)
    at, deviations = np.median(age[rows], axis=1), np.zeros_like(off)
    for k in np.flatnonzero((spread > 0).all(axis=0)):
        deviations[:, k] = off[:, k] / np.exp(np.interp(age, at, np.log(spread[:, k])))
    return deviations


def _off_median(age: Floats, values: Floats) -> Floats:
    """(n, S) values less the median of about 25 people of about the same age; straight between and beyond medians."""
    rows = _windows(age, _NEIGHBOURS)
    at, middle = np.median(age[rows], axis=1), np.median(values[rows], axis=1)
    # Where many have the same age several medians stand at one place.
    places, index = np.unique(at, return_inverse=True)
    if len(places) == 1:
        return np.asarray(values - np.median(values, axis=0))
    medians = np.column_stack([np.bincount(index, weights=column) / np.bincount(index) for column in middle.T])
    first, last = places[1] - places[0], places[-1] - places[-2]
    left, right = (medians[1] - medians[0]) / first, (medians[-1] - medians[-2]) / last
    line = np.column_stack([np.interp(age, places, column) for column in medians.T])
    line = line + np.minimum(age - places[0], 0.0)[:, None] * left + np.maximum(age - places[-1], 0.0)[:, None] * right
    return np.asarray(values - line)


def _windows(age: Floats, size: int) -> Ints:
    """(windows, size) rows of people of about the same age, from the youngest to the oldest."""
    order = np.argsort(age, kind="stable")
    size = min(size, max(1, len(age) // 2))
    starts = np.linspace(0, len(age) - size, max(2, len(age) // size)).round().astype(np.intp)
    return np.asarray(order[starts[:, None] + np.arange(size)])


def _from_curve(curve: Curve, people: People, fitted: Floats) -> tuple[Floats, Floats]:
    """(n,) what the curve expects, in the unit of the volumes, and residuals over its spread, made symmetric."""
    location, sd = curve.mean.value(people.age), curve.spread.sd(people.age)
    if curve.sites is not None:
        shift, _, factor = curve.sites.lookup(people.texts("site"))
        location, sd = location + shift, sd * factor
    standardised = (fitted - location) / sd
    if curve.shape is not None:
        standardised = curve.shape.at(curve.mean.basis.scaled(people.age)).normal_score(standardised)
    return np.exp(location) if curve.log_volume else location, standardised


def _value(curve: Curve, people: People, reference_icv_cm3: float | None) -> Floats:
    volume = people.volumes[curve.structure].to_numpy(dtype=np.float64)
    return measured(curve.measure, volume, people.icv_cm3, curve.icv_exponent, reference_icv_cm3)
