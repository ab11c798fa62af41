"""What follows from fitted curves, with 95% intervals: mean, centiles, rate of change, peak, women and men."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from lifespan.arrays import Floats
from lifespan.measures import UNITS
from lifespan.models.curve import Curve
from lifespan.models.model import LifespanModel

CENTILES = (5, 25, 50, 75, 95)
LEVEL = 0.95

_HALF_STEP = 0.05
_PEAK_STEP = 0.02
_RANDOM_SITE = "centiles are those of a random site"


def derived_table(model: LifespanModel, step: float = 1.0) -> pd.DataFrame:
    """Mean, rate of change and centiles of every curve by age.

    Parameters
    ----------
    model : LifespanModel
    step : float
        Years.

    Returns
    -------
    table : DataFrame
        structure, measure, unit, group, age, mean, mean_low, mean_high, rate (unit a year), rate_low, rate_high,
        rate_percent (of the mean, a year), p5, p25, p50, p75, p95, people_near, note. With log in the model the mean is
        the geometric one.
    """
    tables = []
    for (structure, measure, group), curve in model.curves.items():
        age = np.append(np.arange(curve.age_low, curve.age_high, step), curve.age_high)
        table = pd.DataFrame({"structure": structure, "measure": measure, "unit": UNITS[measure], "group": group}, age)
        table.insert(4, "age", age)
        table["mean"], table["mean_low"], table["mean_high"] = mean_interval(curve, age)
        table["rate"], table["rate_low"], table["rate_high"] = rate_interval(curve, age)
        table["rate_percent"] = 100.0 * table["rate"] / table["mean"]
        predicted = curve.predict(age)
        for centile in CENTILES:
            table[f"p{centile}"] = np.maximum(predicted.quantile(centile / 100.0), 0.0)
        table["people_near"] = model.counts.near(group, age, structure, measure).astype(int)
        table["note"] = _RANDOM_SITE if curve.sites is not None else ""
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def peak_table(model: LifespanModel) -> pd.DataFrame:
    """The age at which each curve is highest.

    Returns
    -------
    table : DataFrame
        structure, measure, unit, group, peak_age, low, high (years), value, at_limit (the curve is highest at an end of
        the fitted ages: there is no peak to tell the age of), open_low, open_high (the interval ends where the fitted
        ages do).
    """
    rows = []
    for (structure, measure, group), curve in model.curves.items():
        names = {"structure": structure, "measure": measure, "unit": UNITS[measure], "group": group}
        rows.append(names | _peak(curve))
    return pd.DataFrame(rows)


def sex_table(model: LifespanModel, step: float = 1.0) -> pd.DataFrame:
    """Men's curve less women's, where both were fitted.

    Returns
    -------
    table : DataFrame
        structure, measure, unit, age, women, men, difference, low, high, difference_percent (of the women's). The
        curves count as independent; where they share sites, the interval is too wide rather than too narrow.
    """
    tables = []
    for structure, measure, group in model.curves:
        if group != "female" or (structure, measure, "male") not in model.curves:
            continue
        women, men = (model.curves[structure, measure, sex] for sex in ("female", "male"))
        low, high = max(women.age_low, men.age_low), min(women.age_high, men.age_high)
        age = np.append(np.arange(low, high, step), high)
        (f, f_low, f_high), (m, m_low, m_high) = (mean_interval(curve, age) for curve in (women, men))
        table = pd.DataFrame({"structure": structure, "measure": measure, "unit": UNITS[measure], "age": age})
        table["women"], table["men"], table["difference"] = f, m, m - f
        # Each side's own half widths, so that geometric means keep their lopsided intervals.
        table["low"] = m - f - np.hypot(m - m_low, f_high - f)
        table["high"] = m - f + np.hypot(m_high - m, f - f_low)
        table["difference_percent"] = 100.0 * (m - f) / f
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def mean_interval(curve: Curve, age: Floats) -> tuple[Floats, Floats, Floats]:
    """(n,) mean at ages (n,) and its 95% interval."""
    location, half = curve.mean.value(age), _t(curve) * np.sqrt(_variance(curve, curve.mean.jacobian(age)))
    ends = location, location - half, location + half
    first, second, third = (np.exp(end) if curve.log_volume else end for end in ends)
    return first, second, third


def rate_interval(curve: Curve, age: Floats) -> tuple[Floats, Floats, Floats]:
    """(n,) change a year of the mean at ages (n,) and its 95% interval."""
    slope, error = _slope(curve, age)
    factor = np.exp(curve.mean.value(age)) if curve.log_volume else np.ones_like(age)
    half = _t(curve) * error
    return slope * factor, (slope - half) * factor, (slope + half) * factor


def _slope(curve: Curve, age: Floats) -> tuple[Floats, Floats]:
    """Derivative of the curve on its fitted scale, and its standard error."""
    up, down = np.minimum(age + _HALF_STEP, curve.age_high), np.maximum(age - _HALF_STEP, curve.age_low)
    between = up - down
    slope = (curve.mean.value(up) - curve.mean.value(down)) / between
    columns = (curve.mean.jacobian(up) - curve.mean.jacobian(down)) / between[:, None]
    return slope, np.sqrt(_variance(curve, columns))


def _variance(curve: Curve, columns: Floats) -> Floats:
    covariance = curve.mean.covariance
    if curve.sites is not None and curve.sites.of_curve is not None:
        covariance = curve.sites.of_curve
    return np.asarray(np.maximum(np.einsum("np,pq,nq->n", columns, covariance, columns), 0.0))


def _t(curve: Curve) -> float:
    freedom = float(max(1, curve.people - curve.mean.parameters))
    return float(special.stdtrit(freedom, 0.5 + LEVEL / 2))


def _peak(curve: Curve) -> dict[str, float | bool]:
    """The interval is that of the ages at which a slope of 0 is not refused (as Fieller's), around the peak."""
    age = np.asarray(np.arange(curve.age_low, curve.age_high, _PEAK_STEP), dtype=np.float64)
    value = curve.mean.value(age)
    top = int(np.argmax(value))
    found = {"peak_age": float(age[top]), "value": float(np.exp(value[top]) if curve.log_volume else value[top])}
    if top in (0, len(age) - 1):
        missing = float("nan")
        return found | {"low": missing, "high": missing, "at_limit": True, "open_low": False, "open_high": False}
    slope, error = _slope(curve, age)
    refused = np.flatnonzero(np.abs(slope) > _t(curve) * error)
    before, after = refused[refused < top], refused[refused > top]
    low, high = (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) - 1 if len(after) else len(age) - 1)
    ends = {"low": float(age[low]), "high": float(age[high]), "at_limit": False}
    return found | ends | {"open_low": not len(before), "open_high": not len(after)}
