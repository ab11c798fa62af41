"""Two ways of measuring the same people: which structures vary less about their curve (section 3.6, Figure 6)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.arrays import Floats
from lifespan.errors import MismatchError
from lifespan.fitting import LEAST_PEOPLE
from lifespan.measures import ABSOLUTE
from lifespan.models.decisions import ALPHA
from lifespan.models.paper_fit import fit_paper
from lifespan.people import People
from lifespan.shift import Shift
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table


def compare(
    before: Path | str | pd.DataFrame | People,
    after: Path | str | pd.DataFrame | People,
    *,
    reading_before: Reading | None = None,
    reading_after: Reading | None = None,
) -> pd.DataFrame:
    """Compare the spread about the curves of two sets of volumes of the same people.

    Each set has its own model of the paper, all people together, absolute volumes. The absolute residuals of a person
    in both sets make a pair; a two-sided Wilcoxon signed-rank test asks whether one set's are smaller. Direction and
    size come from that test, too: the Hodges-Lehmann shift of the pairs. Standard deviations stand beside it; a few
    far people can turn them the other way. Sums of other structures (lobes, both sides) are left out.

    Parameters
    ----------
    before, after : Path, str, DataFrame or People
        The same structures; people are paired by participant_id and session. One row a person.
    reading_before, reading_after : Reading, optional

    Returns
    -------
    comparison : DataFrame
        One row a structure: structure, people, model_before, model_after, sd_before, sd_after (of the residuals, cm3),
        sd_change_percent, shift, shift_low, shift_high (of the absolute residuals, cm3, with its 95% interval;
        below 0: they are smaller in the second set), reduced (the shift is below 0), p, significant (p < 0.05,
        uncorrected), p_holm, significant_holm.

    Raises
    ------
    MismatchError
        Other structures, too few people in common, or several rows of one person.
    TableError
        A table cannot be used.
    """
    first, second = read_table(before, reading_before), read_table(after, reading_after)
    structures = [name for name in first.structures if name not in first.totals]
    other = set(structures) ^ {name for name in second.structures if name not in second.totals}
    if other:
        found = f"{listed(sorted(other))} in one of them alone"
        do = "Compare tables of the same structures."
        raise MismatchError(second.source, expected=f"the structures of {first.source}", found=found, do=do)
    first, second = _paired(first, second)
    rows = []
    for name in structures:
        pair = [people.volumes[name].to_numpy(dtype=np.float64) for people in (first, second)]
        known = np.isfinite(pair[0]) & np.isfinite(pair[1])
        if known.sum() < LEAST_PEOPLE:
            found = f"{int(known.sum())} with {name} in both"
            do = "The test needs more."
            raise MismatchError(second.source, expected=f"at least {LEAST_PEOPLE} people", found=found, do=do)
        rows.append(_compare_one(name, [first.age[known], second.age[known]], [volume[known] for volume in pair]))
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=np.float64))
    table["significant_holm"] = table["p_holm"] < ALPHA
    return table


def holm(p: Floats) -> Floats:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6, 1979, 65-70).

    Parameters
    ----------
    p : (k,) float
    """
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _compare_one(name: str, ages: list[Floats], volumes: list[Floats]) -> dict[str, object]:
    residuals, forms = [], []
    for age, volume in zip(ages, volumes, strict=True):
        (curve,) = fit_paper([name], ABSOLUTE, "all", age, volume[:, None])
        residuals.append(volume - curve.mean.value(age))
        forms.append(curve.mean.form)
    shift = Shift.of(np.abs(residuals[1]) - np.abs(residuals[0]))
    sd = [float(residual.std(ddof=1)) for residual in residuals]
    return {
        "structure": name,
        "people": len(ages[0]),
        "model_before": forms[0],
        "model_after": forms[1],
        "sd_before": sd[0],
        "sd_after": sd[1],
        "sd_change_percent": 100.0 * (sd[1] / sd[0] - 1.0),
        "shift": shift.size,
        "shift_low": shift.low,
        "shift_high": shift.high,
        "reduced": shift.size < 0,
        "p": shift.p,
        "significant": shift.p < ALPHA,
    }


def _paired(first: People, second: People) -> tuple[People, People]:
    """The people of both tables, in the same order."""
    keys = [
        list(zip(people.texts("participant_id"), people.texts("session"), strict=True)) for people in (first, second)
    ]
    for people in (first, second):
        ids = people.texts("participant_id")
        several = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []
        if several:
            do = "Keep one visit of each: the test takes people as independent."
            raise MismatchError(people.source, expected="one row a person", found=listed(several), do=do)
    place = {key: k for k, key in enumerate(keys[1])}
    both = [k for k, key in enumerate(keys[0]) if key in place]
    if len(both) < LEAST_PEOPLE:
        do = "Give two tables of the same people, named alike."
        found = f"{len(both)} in common with {first.source}"
        raise MismatchError(second.source, expected=f"at least {LEAST_PEOPLE} people", found=found, do=do)
    return first.take(np.array(both)), second.take(np.array([place[keys[0][k]] for k in both]))
