"""What follows from curves: intervals of mean, rate, peak, women against men, on known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lifespan import derived_table, fit, peak_table, sex_table
from lifespan.deriving import mean_interval, rate_interval

Maker = Callable[..., pd.DataFrame]


def arch(count: int, seed: int) -> pd.DataFrame:
    """A parabola that is highest at 30 years, spread 4 cm3."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(8.0, 80.0, count)
    volume = 60.0 - 0.008 * (age - 30.0) ** 2 + rng.normal(0.0, 4.0, count)
    return pd.DataFrame({"participant_id": range(count), "age": age, "x_cm3": volume})


def test_intervals_of_peak_mean_and_rate_hold_the_truth_in_95_percent() -> None:
    holds = []
    for seed in range(150):
        model = fit(arch(250, seed), icv="none")
        curve = model.curves["x", "absolute", "all"]
        if curve.mean.form != "quadratic":
            continue
        row = peak_table(model).iloc[0]
        at = np.array([55.0])
        _, mean_low, mean_high = mean_interval(curve, at)
        _, rate_low, rate_high = rate_interval(curve, at)
        holds.append(
            [
                row["low"] - 0.02 <= 30.0 <= row["high"] + 0.02,
                mean_low[0] <= 60.0 - 0.008 * 25.0**2 <= mean_high[0],
                rate_low[0] <= -0.4 <= rate_high[0],
            ]
        )
    assert len(holds) > 110
    # Two standard errors of 110 tables: 0.042.
    np.testing.assert_allclose(np.mean(holds, axis=0), 0.95, atol=0.045)


def test_a_curve_that_falls_from_the_start_has_no_peak() -> None:
    table = arch(300, 1)
    table["x_cm3"] += 0.008 * (table["age"] - 30.0) ** 2 - 0.3 * table["age"]
    row = peak_table(fit(table, icv="none")).iloc[0]
    assert row["at_limit"] and np.isnan(row["low"])


@pytest.mark.parametrize("model", ["paper", "log", "spline"])
def test_the_rate_is_the_slope_of_the_mean_and_centiles_rise(people: Maker, model: str) -> None:
    table = derived_table(fit(people(300, structures=1, men=0.0), model=model, icv="none"), step=0.5)
    part = table[table["group"] == "all"]
    inner = part.iloc[20:-2]
    slope = np.gradient(part["mean"], part["age"])[20:-2]
    np.testing.assert_allclose(inner["rate"], slope, atol=0.02)
    columns = part[["p5", "p25", "p50", "p75", "p95"]].to_numpy()
    assert (np.diff(columns, axis=1) > 0).all()
    assert ((part["mean_low"] < part["mean"]) & (part["mean"] < part["mean_high"])).all()
    assert (part["note"] == "").all()


def test_men_less_women(people: Maker) -> None:
    model = fit(people(1500, structures=1), icv="none")
    table = sex_table(model)
    at = table.iloc[(table["age"] - 40.0).abs().argmin()]
    true = 0.1 * (40.0 - 0.12 * at["age"] + 20.0 * (1.0 - np.exp(-at["age"] / 6.0)))
    assert at["low"] < true < at["high"]
    assert at["difference_percent"] == pytest.approx(10.0, abs=2.0)


def test_bands_of_a_random_site_are_told(people: Maker) -> None:
    table = derived_table(fit(people(200, structures=1, sites=5, site_sd=3.0), model="sites", icv="none"), step=10.0)
    assert (table["note"] == "centiles are those of a random site").all()
