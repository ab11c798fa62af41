"""Values far from those of people of the same age: told by row, never dropped; absurd bounds refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lifespan import FitError, fit, flag_table, read_table
from lifespan.flagging import from_neighbours, robust_deviations

Maker = Callable[..., pd.DataFrame]


def wrong(table: pd.DataFrame, row: int, factor: float) -> pd.DataFrame:
    """The table with one volume times a factor."""
    table = table.copy()
    table.loc[row, "left_0_cm3"] *= factor
    return table


def width(table: pd.DataFrame, model: str, age: float = 20.0) -> float:
    predicted = fit(table, model=model, icv="none").predict([age], structure="left_0", group="male")
    return float(predicted["upper"][0] - predicted["lower"][0])


class TestFlags:
    @pytest.mark.parametrize("model", ["paper", "spread+sites"])
    def test_one_wrong_value_is_told_by_row_and_kept(self, people: Maker, model: str) -> None:
        table = wrong(people(500, sites=4, site_sd=2.0), 7, 10.0)
        members = read_table(table)
        fitted = fit(members, model=model, icv="none")
        told = [warning for warning in fitted.warnings if "robust standard deviations" in warning]
        assert len(told) == 1 and "row 7 (sub-0007) left_0" in told[0]
        assert fitted.counts.people["all"] == 500
        flags = flag_table(fitted, members)
        assert set(flags["participant_id"]) == {"sub-0007"} and set(flags["structure"]) == {"left_0"}
        row = flags[flags["group"] == "all"].iloc[0]
        assert row["value"] == pytest.approx(table["left_0_cm3"][7])
        assert row["before"] > 50 and row["after"] > 5

    def test_sound_people_are_not(self, people: Maker) -> None:
        members = read_table(people(3000, sites=6, site_sd=4.0, sd_slope=1.2))
        assert not len(flag_table(fit(members, icv="none"), members))

    @pytest.mark.parametrize("model", ["paper", "shape"])
    def test_nor_are_sound_people_under_skew(self, people: Maker, model: str) -> None:
        rng = np.random.default_rng(3)
        table = people(3000, men=0.0)
        skewed = rng.gamma(2.5, 1.0, (2, 3000))
        assert (skewed > 2.5 + 5 * 1.4826 * np.median(np.abs(skewed - np.median(skewed)))).any()
        table[["left_0_cm3", "left_1_cm3"]] = (50.0 - 0.1 * table["age"].to_numpy() + 3.0 * skewed).T
        members = read_table(table)
        assert len(flag_table(fit(members, model=model, icv="none"), members)) <= 1
        assert "sub-0011" in set(
            flag_table(fit(wrong(table, 11, 4.0), icv="none"), wrong(table, 11, 4.0))["participant_id"]
        )

    def test_the_first_years_are_not_taken_for_far(self) -> None:
        rng = np.random.default_rng(2)
        age = np.concatenate([rng.uniform(0.0, 3.0, 60), rng.uniform(3.0, 80.0, 600)])
        value = 30.0 + 80.0 * (1.0 - np.exp(-age / 1.0)) + rng.normal(0.0, 6.0, 660)
        assert np.abs(from_neighbours(age, value)).max() < 6.0


class TestDeviations:
    def test_of_normal_values_they_are_standard_deviations(self) -> None:
        x = np.random.default_rng(0).normal(3.0, 2.0, 4000)
        np.testing.assert_allclose(robust_deviations(x), (x - 3.0) / 2.0, atol=0.2)


class TestRobust:
    def test_one_wrong_value_widens_other_bounds_and_not_those_of_robust(self, people: Maker) -> None:
        table = people(1078)
        far = wrong(table, int(table.index[table["sex"] == "M"][0]), 10.0)
        assert width(far, "paper") > 2.0 * width(table, "paper")
        assert width(far, "robust") == pytest.approx(width(table, "robust"), rel=0.08)
        assert width(table, "robust") == pytest.approx(width(table, "paper"), rel=0.08)

    def test_with_sites_the_bounds_stay_finite_and_near(self, people: Maker) -> None:
        table = people(600, sites=20, site_sd=2.0)
        far = wrong(table, 5, 10.0)
        assert width(far, "robust+sites") == pytest.approx(width(table, "robust+sites"), rel=0.25)
        assert width(far, "sites") < 12 * width(table, "sites")


class TestAbsurd:
    def test_bounds_that_tell_nothing_are_refused_with_the_rows(self, people: Maker) -> None:
        table = wrong(people(60, men=0.0), 9, 60.0).drop(columns="icv_cm3")
        with pytest.raises(FitError, match=r"left_0 .*times as wide as .*row 9 \(sub-0009\) left_0.*robust"):
            fit(table, icv="none")
        assert width_of_all(fit(table, model="robust", icv="none")) < 30.0


def width_of_all(model: object) -> float:
    predicted = model.predict([40.0], structure="left_0")  # type: ignore[attr-defined]
    return float(predicted["upper"][0] - predicted["lower"][0])
