"""Patients against controls, on made-up people and beside statsmodels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from lifespan import FitError, MismatchError, TableError, compare_groups, fit, plot_effects
from lifespan.group_tests import benjamini_hochberg

Maker = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def table(people: Maker) -> pd.DataFrame:
    """Patients are older, and have lost 2 cm3 of left_0."""
    table = people(400, seed=8)
    ill = np.random.default_rng(2).uniform(size=400) < (0.2 + 0.4 * (table["age"] > 50))
    table.loc[ill, "left_0_cm3"] -= 2.0
    return table.assign(diagnosis=np.where(ill, "ataxia", "control"), quality=np.arange(400) % 3)


class TestVolumes:
    def test_the_difference_is_that_of_least_squares_with_hc3_errors(self, table: pd.DataFrame) -> None:
        found = compare_groups(table, "diagnosis", controls="control", covariates=["age", "sex", "quality"])
        row = found.set_index("structure").loc["left_0"]
        age = table["age"] - table["age"].mean()
        x = np.column_stack(
            [np.ones(400), table["diagnosis"] == "ataxia", age, age**2, table["sex"] == "M", table["quality"]]
        ).astype(float)
        expected = sm.OLS(table["left_0_cm3"].to_numpy(), x).fit().get_robustcov_results("HC3", use_t=True)
        assert row["difference"] == pytest.approx(expected.params[1])
        assert row["p"] == pytest.approx(expected.pvalues[1], rel=1e-6)
        np.testing.assert_allclose([row["low"], row["high"]], expected.conf_int()[1])
        sd = np.sqrt(expected.mse_resid)
        assert row["d"] == pytest.approx(expected.params[1] / sd, rel=0.005)

    def test_what_was_lost_is_found_and_nothing_else(self, table: pd.DataFrame) -> None:
        found = compare_groups(table, "diagnosis", controls="control").set_index("structure")
        error = (found["high"] - found["low"])["left_0"] / 3.92
        assert found["difference"]["left_0"] == pytest.approx(-2.0, abs=3 * error)
        assert list(found["significant"]) == [True, False]
        assert found["patients"]["left_0"] + found["controls"]["left_0"] == 400

    def test_intervals_of_the_effect_size_hold_it_in_95_percent(self) -> None:
        holds = []
        for seed in range(200):
            rng = np.random.default_rng(seed)
            ill = np.arange(60) < 25
            value = 50.0 + 3.0 * rng.normal(size=60) - 3.0 * ill
            who = {"participant_id": range(60), "age": rng.uniform(20, 60, 60), "group": np.where(ill, "p", "c")}
            row = compare_groups(pd.DataFrame({**who, "x_cm3": value}), "group", controls="c", covariates=["age"]).iloc[
                0
            ]
            holds.append(row["d_low"] < -1.0 < row["d_high"])
        assert np.mean(holds) == pytest.approx(0.95, abs=0.035)


def test_z_scores_of_a_model_are_compared_and_drawn(people: Maker, table: pd.DataFrame, tmp_path: Path) -> None:
    model = fit(people(600), icv="none")
    healthy = table[table["age"].between(10, 80)]
    found = compare_groups(healthy, "diagnosis", controls="control", model=model)
    assert set(found["unit"]) == {"z"}
    assert found.set_index("structure")["d"]["left_0"] == pytest.approx(-2.0 / 3.0, abs=0.3)
    assert [path.name for path in plot_effects(found, tmp_path / "new")] == ["groups.png", "groups.svg"]


class TestRefused:
    def test_what_cannot_be_compared(self, table: pd.DataFrame) -> None:
        with pytest.raises(TableError, match="a column diagnoses, found the columns participant_id"):
            compare_groups(table, "diagnoses", controls="control")
        with pytest.raises(FitError, match="at least 5 people of healthy, found 0; diagnosis holds ataxia, control"):
            compare_groups(table, "diagnosis", controls="healthy")
        with pytest.raises(MismatchError, match="one row a person, found sub-0000"):
            compare_groups(pd.concat([table, table.assign(session="2")]), "diagnosis", controls="control")


def test_false_discovery_rates_are_those_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(size=26) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])
