"""Values far from those of people of the same age: told by row, never dropped; bounds that tell nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.arrays import Floats
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


def flags_of(curves: Mapping[Key, Curve], people: People, reference_icv_cm3: float | None) -> pd.DataFrame:
    """`flag_table` of some curves."""
    columns = ["row", "participant_id", "session", "age", "sex", "site"]
    found = []
    members: dict[bytes, People] = {}
    for (structure, measure, group), curve in curves.items():
        mask = fitted_rows(people, structure, measure, group)
        some = members.setdefault(mask.tobytes(), people.take(mask))
        value = _value(curve, some, reference_icv_cm3)
        expected, standardised = _from_curve(curve, some, curve.fitted_scale(value))
        t = curve.mean.basis.scaled(some.age)
        before = robust_deviations(from_neighbours(some.age, value, some.texts("site")), t)
        after = robust_deviations(standardised, t)
        far = np.flatnonzero((np.abs(before) > FAR) | (np.abs(after) > FAR))
        if not len(far):
            continue
        part = some.frame.iloc[far][columns].copy()
        part["structure"], part["measure"], part["unit"], part["group"] = structure, measure, UNITS[measure], group
        part["value"], part["expected"] = value[far], expected[far]
        part["before"], part["after"] = before[far], after[far]
        found.append(part)
    names = ["structure", "measure", "unit", "group", "value", "expected", "before", "after"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*columns, *names])


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
    curves: Iterable[Curve], people: People, reference_icv_cm3: float | None, flags: pd.DataFrame
) -> None:
    """Refuse curves whose bounds tell nothing.

    Raises
    ------
    FitError
        Bounds without end, or ten times as wide as those of people of the same age.
    """
    absurd = []
    for curve in curves:
        some = people.take(fitted_rows(people, curve.structure, curve.measure, curve.group))
        lower, upper = curve.predict(np.linspace(curve.age_low, curve.age_high, _AGES)).bounds()
        off = _off_median(some.age, _value(curve, some, reference_icv_cm3))
        usual = 2.0 * 1.96 * robust_sd(off)
        times = float(np.median(upper - lower)) / usual if usual > 0 else 1.0
        if not times <= ABSURD:
            absurd.append(f"{curve.structure} ({curve.group}, {curve.measure}) {times:.3g}")
    if absurd:
        names = described(flags)
        raise FitError(
            people.source,
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
    off = _off_median(age, value)
    if site is not None:
        sites, _ = groups_of(site)
        medians = pd.Series(off).groupby(sites.index).median().to_numpy(dtype=np.float64)
        off = off - sites.spread_out(np.where(sites.sizes >= _LEAST_OF_SITE, medians, 0.0))
    if not np.any(off):
        return off
    order = np.argsort(age, kind="stable")
    blocks = np.array_split(order, max(1, len(age) // _OF_SPREAD))
    least = 0.3 * robust_sd(off)
    spread = np.array([max(1.4826 * float(np.median(np.abs(off[block]))), least) for block in blocks])
    if not spread.all():
        return np.zeros_like(off)
    at = np.array([float(np.median(age[block])) for block in blocks])
    return np.asarray(off / np.exp(np.interp(age, at, np.log(spread))))


def _off_median(age: Floats, value: Floats) -> Floats:
    """(n,) values less the median of about 25 people of about the same age; straight between and beyond the medians."""
    order = np.argsort(age, kind="stable")
    blocks = np.array_split(order, max(2, len(age) // _NEIGHBOURS))
    at = np.array([float(np.median(age[block])) for block in blocks])
    middle = np.array([float(np.median(value[block])) for block in blocks])
    # Where many have the same age several medians stand at one place.
    places, index = np.unique(at, return_inverse=True)
    if len(places) == 1:
        return np.asarray(value - np.median(value))
    medians = np.bincount(index, weights=middle) / np.bincount(index)
    left, right = (medians[1] - medians[0]) / (places[1] - places[0]), (medians[-1] - medians[-2]) / np.diff(places)[-1]
    line = np.interp(age, places, medians)
    line = line + np.minimum(age - places[0], 0.0) * left + np.maximum(age - places[-1], 0.0) * right
    return np.asarray(value - line)


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
