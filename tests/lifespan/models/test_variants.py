"""Spread, visits, splines, shape and logarithms, on people whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from one_curve import inside, only

from lifespan import FitError, fit, read_table
from lifespan.models.choice import ModelChoice
from lifespan.models.spline import knot_candidates

Maker = Callable[..., pd.DataFrame]


class TestSpread:
    def test_where_it_changes_the_paper_misses_and_spread_holds(self, people: Maker) -> None:
        table = people(3000, sd_slope=1.2, men=0.0)
        new = people(12000, sd_slope=1.2, men=0.0, seed=2)
        young, old = (new["age"] < 20).to_numpy(), (new["age"] > 70).to_numpy()
        paper, spread = (inside(only(table, model), new) for model in ("paper", "spread"))
        assert paper[young].mean() > 0.975
        assert paper[old].mean() < 0.925
        assert spread[young].mean() == pytest.approx(0.95, abs=0.012)
        assert spread[old].mean() == pytest.approx(0.95, abs=0.012)

    def test_what_a_curve_took_of_its_few_people_is_given_back(self) -> None:
        """What 24 people vary about a curve that followed them is less than their spread."""
        rng, found = np.random.default_rng(1), []
        for _ in range(60):
            age = np.sort(rng.uniform(8.0, 80.0, 24))
            volume = 50 + 0.9 * age - 0.012 * age**2 + rng.normal(0.0, 3.0, 24)
            table = pd.DataFrame({"participant_id": range(24), "age": age, "left_0_cm3": volume})
            curve = only(table, "spread")
            if curve.mean.form == "quadratic" and len(curve.spread.coefficients) == 1:
                found.append(2 * curve.spread.coefficients[0])
        assert len(found) > 30
        # log of chi-squared with 21 degrees of freedom over 21 has the mean -0.048; over 24, without leverage, -0.18.
        assert np.mean(found) == pytest.approx(2 * np.log(3.0) - 0.048, abs=0.08)

    def test_where_it_does_not_change_none_is_found(self, people: Maker) -> None:
        curve = only(people(2000, men=0.0), "spread")
        assert len(curve.spread.coefficients) == 1
        assert np.exp(curve.spread.coefficients[0]) == pytest.approx(3.0, rel=0.05)

    def test_outside_the_fitted_ages_it_stays_as_at_their_ends(self, people: Maker) -> None:
        curve = only(people(2000, sd_slope=1.2, men=0.0), "spread")
        ends = curve.spread.sd(np.array([curve.age_low, curve.age_high]))
        np.testing.assert_allclose(curve.spread.sd(np.array([0.0, 110.0])), ends)


class TestVisits:
    def test_they_are_refused_without_a_model_for_them(self, people: Maker) -> None:
        with pytest.raises(FitError, match=r"several of 50 people: sub-0000, .*Add visits to --model"):
            fit(people(50, visits=2))

    def test_or_the_earliest_is_taken(self, people: Maker) -> None:
        table = people(50, visits=3)
        model = fit(table, one_visit=True)
        assert (model.counts.people["all"], model.counts.observations["all"]) == (50, 50)
        first = fit(table[table["session"] == "1"])
        assert model.curves["left_0", "absolute", "all"].mean.value(np.array([30.0])) == pytest.approx(
            first.curves["left_0", "absolute", "all"].mean.value(np.array([30.0]))
        )

    def test_their_correlation_and_the_curve_are_those_of_mixedlm(self, people: Maker) -> None:
        table = people(300, visits=3, rho=0.7, men=0.0)
        table["left_0_cm3"] += 0.12 * table["age"] - 20 * (1 - np.exp(-table["age"] / 6)) - 0.2 * table["age"]
        curve = only(table, "visits")
        assert curve.mean.form == "linear"
        design = sm.add_constant(table["age"].to_numpy())
        mixed = sm.MixedLM(table["left_0_cm3"].to_numpy(), design, groups=table["participant_id"]).fit(reml=True)
        between, within = float(np.squeeze(mixed.cov_re)), float(mixed.scale)
        assert curve.rho == pytest.approx(between / (between + within), abs=0.01)
        assert np.exp(2 * curve.spread.coefficients[0]) == pytest.approx(between + within, rel=0.02)
        ends = mixed.fe_params @ [[1, 1], [20, 70]]
        np.testing.assert_allclose(curve.mean.value(np.array([20.0, 70.0])), ends, rtol=1e-3)

    def test_more_visits_of_the_same_people_do_not_pass_for_more_people(self, people: Maker) -> None:
        table = people(200, visits=4, rho=0.95, men=0.0)
        table["left_0_cm3"] -= 20 * (1 - np.exp(-table["age"] / 6))
        naive = table.assign(participant_id=[f"p{k}" for k in range(len(table))])
        at, (told, thought) = np.array([45.0]), (only(table, "visits"), only(naive, "paper"))
        assert told.mean.form == thought.mean.form == "linear"
        # Four visits with a correlation of 0.95 tell as much as 4 / (1 + 3 x 0.95) = 1.04 people.
        assert told.mean.variance(at)[0] / thought.mean.variance(at)[0] == pytest.approx(3.85, rel=0.1)

    def test_a_person_at_two_sites_is_refused_where_sites_are_modelled(self, people: Maker) -> None:
        table = people(60, visits=2, sites=3)
        table.loc[1, "site"] = "elsewhere"
        with pytest.raises(FitError, match=r"1 people at several: sub-0000 \("):
            fit(table, model="sites+visits")


class TestSpline:
    def test_it_follows_what_no_candidate_can(self, people: Maker) -> None:
        table = people(2000, men=0.0)
        table["left_0_cm3"] += 6.0 * np.sin(table["age"] / 7.0)
        ages = np.linspace(10.0, 80.0, 30)
        true = 40 - 0.12 * ages + 20 * (1 - np.exp(-ages / 6)) + 6.0 * np.sin(ages / 7.0)
        errors = [np.abs(only(table, model).mean.value(ages) - true).max() for model in ("paper", "spline")]
        assert errors[1] < 0.5 * errors[0]

    def test_a_straight_line_needs_no_inner_knots(self, people: Maker) -> None:
        table = people(500, men=0.0)
        rng = np.random.default_rng(4)
        table["left_0_cm3"] = 60 - 0.2 * table["age"] + rng.normal(0, 3, 500)
        curve = only(table, "spline")
        assert len(curve.mean.knots) == 2
        assert next(d for d in curve.decisions if d.chosen).candidate == "spline with 0 inner knots"

    def test_it_is_straight_outside_its_knots(self, people: Maker) -> None:
        curve = only(people(800, men=0.0), "spline")
        assert len(curve.mean.knots) > 2 and curve.mean.log_age
        ages = (curve.age_high + 0.75) * np.array([1.1, 1.1**2, 1.1**3]) - 0.75
        beyond = curve.mean.value(ages)
        assert beyond[1] - beyond[0] == pytest.approx(beyond[2] - beyond[1])

    def test_it_holds_the_first_years_where_volumes_grow_fastest(self) -> None:
        rng = np.random.default_rng(0)

        def drawn(age: np.ndarray) -> np.ndarray:
            return 40 + 90 * (1 - np.exp(-age / 2)) - 0.3 * age + rng.normal(0, 8, len(age))

        age = rng.uniform(0.2, 90.0, 4857)
        table = pd.DataFrame({"participant_id": range(4857), "age": age, "left_0_cm3": drawn(age)})
        curve = only(table, "spline")
        for low, high in ((0.25, 0.5), (0.5, 1.0), (1.0, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 90.0)):
            new = rng.uniform(low, high, 8000)
            lower, upper = curve.predict(new).bounds()
            volume = drawn(new)
            assert ((volume >= lower) & (volume <= upper)).mean() == pytest.approx(0.95, abs=0.02)

    def test_inner_knots_stand_between_the_crowd_and_the_even_division(self) -> None:
        age = np.concatenate([np.linspace(20.0, 25.0, 900), np.linspace(5.0, 85.0, 101)])
        sets = {(len(knots) - 2, log_age): knots for knots, log_age in knot_candidates(age)}
        assert sets[1, False][1] == pytest.approx((np.median(age) + 45.0) / 2)
        even = (np.log(5.75) + np.log(85.75)) / 2
        assert np.log(sets[1, True][1] + 0.75) == pytest.approx((np.log(np.median(age) + 0.75) + even) / 2)
        assert all(list(knots) == sorted(set(knots)) for knots in sets.values())


class TestShape:
    """Gamma residuals that lean the more the older people are."""

    def drawn(self, count: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        age = rng.uniform(8.0, 88.0, count)
        lean = np.interp(age, [8.0, 88.0], [40.0, 1.5])
        noise = (rng.gamma(lean) - lean) / np.sqrt(lean)
        return pd.DataFrame({"participant_id": range(count), "age": age, "left_0_cm3": 50 - 0.1 * age + 4 * noise})

    def test_skew_changes_with_age(self) -> None:
        curve = only(self.drawn(4000, 1), "shape")
        assert curve.shape is not None and curve.shape.skew_slope > 0.1
        new = self.drawn(60000, 2)
        age, volume = new["age"].to_numpy(), new["left_0_cm3"].to_numpy()
        centile = curve.predict(age).centile(volume)
        for low, high in ((8, 28), (28, 48), (48, 68), (68, 88)):
            here = centile[(age >= low) & (age < high)]
            for share in (2.5, 97.5):
                assert (here < share).mean() == pytest.approx(share / 100, abs=0.012)

    def test_where_it_does_not_no_slope_is_found(self) -> None:
        rng = np.random.default_rng(5)
        table = self.drawn(2000, 1)
        table["left_0_cm3"] = 50 - 0.1 * table["age"] + 4 * (rng.gamma(4.0, size=2000) - 4) / 2
        curve = only(table, "shape")
        assert curve.shape is not None
        assert curve.shape.skew_slope == 0.0


class TestLogarithms:
    """Lateral ventricles: small in most, many times larger in some."""

    def drawn(self, count: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        age = rng.uniform(8.0, 88.0, count)
        volume = np.exp(1.5 + 0.02 * age + 0.6 * rng.normal(size=count))
        return pd.DataFrame({"participant_id": range(count), "age": age, "left_0_cm3": volume})

    def test_no_bound_is_below_0(self) -> None:
        model = fit(self.drawn(1500, 1), icv="none")
        lower, _ = model.curves["left_0", "absolute", "all"].predict(np.array([10.0])).bounds()
        assert lower[0] == 0.0
        (warning,) = [text for text in model.warnings if "bounds would lie below 0" in text]
        assert "left_0" in warning and "log to --model" in warning

    def test_with_log_the_bounds_hold_and_stay_above_0(self) -> None:
        table, new = self.drawn(1500, 1), self.drawn(30000, 2)
        model = fit(table, model="log", icv="none")
        assert not any("below 0" in text for text in model.warnings)
        curve = model.curves["left_0", "absolute", "all"]
        age, volume = new["age"].to_numpy(), new["left_0_cm3"].to_numpy()
        predicted = curve.predict(age)
        lower, upper = predicted.bounds()
        assert lower.min() > 1.0
        assert (volume < lower).mean() == pytest.approx(0.025, abs=0.01)
        assert (volume > upper).mean() == pytest.approx(0.025, abs=0.01)
        np.testing.assert_allclose(predicted.curve, np.exp(1.5 + 0.02 * age), rtol=0.1)

    def test_the_density_is_that_of_the_volume(self) -> None:
        predicted = only(self.drawn(600, 1), "log").predict(np.full(20001, 40.0))
        volume = np.geomspace(0.1, 400.0, 20001)
        assert np.trapezoid(np.exp(predicted.log_density(volume)), volume) == pytest.approx(1.0, abs=1e-3)


class TestChoice:
    @pytest.mark.parametrize("words", ["paper", "spread", "sites+visits", "spline+spread+sites+visits+shape"])
    def test_words_come_back(self, words: str) -> None:
        assert str(ModelChoice.parse(words)) == words

    @pytest.mark.parametrize("words", ["", "gamlss", "paper+spread", "spread+spread", "spread,sites"])
    def test_others_are_refused(self, words: str) -> None:
        with pytest.raises(ValueError, match="model"):
            ModelChoice.parse(words)

    def test_people_are_given_back_as_they_are(self, people: Maker) -> None:
        members = read_table(people(30))
        assert read_table(members) is members
