"""Models for what is really there, on people whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from lifespan import FitError, MismatchError, fit, read_table, score, transfer
from lifespan.models.choice import ModelChoice
from lifespan.models.curve import Curve

Maker = Callable[..., pd.DataFrame]


def only(table: pd.DataFrame, model: str, group: str = "all") -> Curve:
    return fit(table, model=model, icv="none").curves["left_0", "absolute", group]


def inside(curve: Curve, table: pd.DataFrame) -> np.ndarray:
    """Which people lie inside the bounds."""
    lower, upper = curve.predict(table["age"].to_numpy(), list(table["site"])).bounds()
    return ((table["left_0_cm3"] >= lower) & (table["left_0_cm3"] <= upper)).to_numpy()


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

    def test_where_it_does_not_change_none_is_found(self, people: Maker) -> None:
        curve = only(people(2000, men=0.0), "spread")
        assert len(curve.spread.coefficients) == 1
        assert np.exp(curve.spread.coefficients[0]) == pytest.approx(3.0, rel=0.05)

    def test_outside_the_fitted_ages_it_stays_as_at_their_ends(self, people: Maker) -> None:
        curve = only(people(2000, sd_slope=1.2, men=0.0), "spread")
        ends = curve.spread.sd(np.array([curve.age_low, curve.age_high]))
        np.testing.assert_allclose(curve.spread.sd(np.array([0.0, 110.0])), ends)


class TestSites:
    def test_their_spread_is_found(self, people: Maker) -> None:
        curve = only(people(3000, sites=30, site_sd=4.0, men=0.0), "sites")
        assert curve.sites is not None
        assert curve.sites.between_sd == pytest.approx(4.0, rel=0.35)
        assert np.exp(curve.spread.coefficients[0]) == pytest.approx(3.0, rel=0.06)

    def test_an_unknown_site_gets_wider_bounds(self, people: Maker) -> None:
        curve = only(people(1500, sites=15, site_sd=4.0, men=0.0), "sites")
        known, unknown = (curve.predict(np.array([40.0]), [name]).scale[0] for name in ("site-3", "elsewhere"))
        assert unknown > 1.3 * known

    def test_a_new_site_is_learnt_from_its_controls(self, people: Maker) -> None:
        table = people(1500, sites=15, site_sd=3.0, men=0.0)
        model = fit(table, model="sites", icv="none")
        new = people(700, seed=9, men=0.0).assign(site="new")
        new["left_0_cm3"] += 6.0
        new["left_1_cm3"] += 6.0
        controls, others = new.iloc[:60], new.iloc[60:]
        before = score(model, others)
        after = score(transfer(model, controls), others)
        assert before["z"].mean() > 0.8
        assert abs(after["z"].mean()) < 0.25
        assert (after["status"] == "inside").mean() == pytest.approx(0.95, abs=0.025)
        assert before["note"].str.contains("site new is not known").all()
        assert not after["note"].str.contains("not known").any()

    def test_few_controls_move_a_site_less_than_their_mean(self, people: Maker) -> None:
        model = fit(people(1500, sites=15, site_sd=2.0, men=0.0), model="sites", icv="none")
        curve = model.curves["left_0", "absolute", "all"]
        age = np.array([40.0])
        moved = curve.transferred("new", np.array([10.0]), curve.spread.sd(age), None)
        shift = moved.predict(age, ["new"]).location[0] - curve.mean.value(age)[0]
        assert 0.5 < shift < 9.0

    def test_women_and_men_share_their_sites(self, people: Maker) -> None:
        model = fit(people(1200, sites=8, site_sd=3.0), model="sites", icv="none")
        women, men = (model.curves["left_0", "absolute", group].sites for group in ("female", "male"))
        assert women is not None and men is not None
        np.testing.assert_array_equal(women.shifts, men.shifts)

    def test_a_model_without_sites_learns_none(self, people: Maker) -> None:
        table = people(100)
        with pytest.raises(MismatchError, match="expected a model with sites, found one of paper"):
            transfer(fit(table), table)

    @pytest.mark.parametrize(("site", "found"), [("", "none in row 0"), ("here", "1 site")])
    def test_sites_must_be_there(self, people: Maker, site: str, found: str) -> None:
        with pytest.raises(FitError, match=f"at least two sites, filled in every row, found {found}"):
            fit(people(50).assign(site=site), model="sites")


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
        assert len(curve.mean.knots) > 2
        beyond = curve.mean.value(curve.age_high + np.array([1.0, 2.0, 3.0]))
        assert beyond[1] - beyond[0] == pytest.approx(beyond[2] - beyond[1])


class TestIcv:
    def table(self, people: Maker, exponent: float) -> pd.DataFrame:
        table = people(1500)
        table["left_0_cm3"] *= (table["icv_cm3"] / 1450) ** exponent
        return table

    def test_the_power_law_finds_its_exponent(self, people: Maker) -> None:
        model = fit(self.table(people, 0.6), icv="power")
        exponent = model.curves["left_0", "power_icv", "all"].icv_exponent
        assert exponent == pytest.approx(0.6, abs=0.06)

    def test_dividing_over_corrects_where_volume_grows_less_than_the_head(self, people: Maker) -> None:
        table = self.table(people, 0.6)
        scores = {icv: score(fit(table, icv=icv), table, pooled=True) for icv in ("ratio", "power")}
        for icv, measure, low, high in (("ratio", "percent_icv", -1.0, -0.2), ("power", "power_icv", -0.06, 0.06)):
            found = scores[icv][(scores[icv]["structure"] == "left_0") & (scores[icv]["measure"] == measure)]
            slope = float(np.corrcoef(found["z"], np.log(table["icv_cm3"]))[0, 1])
            assert low < slope < high


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
