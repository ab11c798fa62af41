"""Models for what is really there, on people whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from scipy.stats import t as t_distribution

from lifespan import FitError, MismatchError, fit, read_table, score, transfer
from lifespan.grouping import Groups
from lifespan.models.between import joint_uncertainty
from lifespan.models.choice import ModelChoice
from lifespan.models.curve import Curve
from lifespan.models.sites import SiteEffects
from lifespan.models.spline import knot_candidates
from lifespan.models.whitening import Whitening

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
        moved = curve.transferred("new", age, np.array([10.0]), curve.spread.sd(age), None)
        shift = moved.predict(age, ["new"]).location[0] - curve.mean.value(age)[0]
        assert 0.5 < shift < 9.0

    def test_a_new_sites_own_spread_is_learnt_from_its_controls(self) -> None:
        rng = np.random.default_rng(3)

        def drawn(count: int, sites: int, factor: np.ndarray) -> pd.DataFrame:
            age, site = rng.uniform(8, 80, count), rng.integers(0, sites, count)
            volume = 60 - 0.2 * age + 3.0 * factor[site] * rng.normal(size=count)
            names = {"participant_id": range(count), "age": age, "site": [f"s{k}" for k in site]}
            return pd.DataFrame({**names, "left_0_cm3": volume})

        model = fit(drawn(3000, 20, np.exp(rng.normal(0, 0.3, 20))), model="sites", icv="none")
        new = drawn(900, 1, np.array([1.8])).assign(site="new")
        taught = transfer(model, new.iloc[:300])
        effects = taught.curves["left_0", "absolute", "all"].sites
        assert effects is not None
        assert np.exp(effects.log_scales[-1]) == pytest.approx(1.8, rel=0.1)
        assert (score(taught, new.iloc[300:])["status"] == "inside").mean() == pytest.approx(0.95, abs=0.02)

    def test_controls_that_teach_nothing_are_told(self, people: Maker) -> None:
        model = fit(people(400, sites=6, site_sd=2.0), model="sites", icv="none")
        controls = people(40, seed=3).assign(site="new").astype({"sex": object, "left_1_cm3": object})
        controls["age"] = controls["age"].clip(10.0, 80.0)
        controls.loc[1, "age"], controls.loc[2, "sex"], controls.loc[3, "left_1_cm3"] = 99.0, "", "n/a"
        warnings = transfer(model, controls).warnings
        for text in (
            "1 controls are outside the fitted ages and not used: row 1 (99 years)",
            "1 controls without sex are used for the curve of all alone: row 2",
            "1 controls without left_1 are not used for it: row 3",
        ):
            assert text in warnings
        assert not any("learnt from" in text for text in warnings)

    @pytest.mark.parametrize(("count", "told"), [(4, None), (5, "site new is learnt from 5 controls")])
    def test_too_few_controls_are_refused_and_few_are_warned_of(
        self, people: Maker, count: int, told: str | None
    ) -> None:
        model = fit(people(400, sites=6, site_sd=2.0), model="sites", icv="none")
        controls = people(count, seed=3).assign(site="new")
        if told is None:
            with pytest.raises(FitError, match="expected at least 5 healthy people of site new, found 4"):
                transfer(model, controls)
        else:
            assert any(told in text for text in transfer(model, controls).warnings)

    def test_repeats_of_a_control_do_not_pass_for_more_people(self, people: Maker) -> None:
        table = people(300, visits=2, rho=0.9, sites=6, site_sd=2.0)
        once = people(20, seed=3).assign(site="new")
        often = pd.concat([once.assign(session=str(k)) for k in range(8)])
        with pytest.raises(FitError, match="expected one visit of each person, found several of 20 people"):
            transfer(fit(table[table["session"] == "1"], model="sites", icv="none"), often)
        model = fit(table, model="sites+visits", icv="none")
        few = transfer(model, once).curves["left_0", "absolute", "all"].sites
        same = transfer(model, often).curves["left_0", "absolute", "all"].sites
        assert few is not None and same is not None
        # Eight visits with a correlation of 0.9 tell as much as 8 / (1 + 7 x 0.9) = 1.1 people.
        assert same.shift_sd[-1] / few.shift_sd[-1] == pytest.approx(1.0, abs=0.1)

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


class TestFewSites:
    """What a person at a site that nobody has seen can be told, where few sites teach how much sites differ."""

    @pytest.mark.parametrize("count", [2, 3])
    def test_the_bounds_of_a_random_site_hold(self, count: int) -> None:
        rng, inside_ = np.random.default_rng(1), []
        for _ in range(40):
            age, site = rng.uniform(8.0, 80.0, 150), rng.integers(0, count, 150)
            volume = 60 - 0.2 * age + rng.normal(0, 5.0, count)[site] + rng.normal(0, 5.0, 150)
            table = pd.DataFrame({"participant_id": range(150), "age": age, "site": site, "left_0_cm3": volume})
            lower, upper = only(table, "sites").predict(np.array([40.0])).bounds()
            inside_.append(np.diff(norm.cdf([lower[0], upper[0]], 52.0, np.hypot(5.0, 5.0))))
        # With the likelihood's own estimate taken for the truth two sites cover 0.85, three 0.88.
        assert np.mean(inside_) == pytest.approx(0.95, abs=0.025)

    def test_fewer_than_five_are_warned_of(self, people: Maker) -> None:
        few, more = (fit(people(300, sites=count, site_sd=2.0), model="sites", icv="none") for count in (3, 5))
        assert any("3 sites are few to learn from how much sites differ" in warning for warning in few.warnings)
        assert not any("sites are few" in warning for warning in more.warnings)

    def test_many_sites_leave_no_doubt_about_their_spread(self, people: Maker) -> None:
        effects = only(people(4000, sites=80, site_sd=4.0, men=0.0), "sites").sites
        assert effects is not None
        scale, freedom = effects.random_site(np.array([9.0]))
        assert freedom[0] > 30
        assert scale[0] == pytest.approx(effects.between_sd**2 + 9.0, rel=0.08)

    def test_a_random_sites_factor_widens_its_bounds_by_its_root_mean_square(self) -> None:
        zeros = np.zeros(400)
        effects = SiteEffects(tuple(map(str, range(400))), zeros, zeros, zeros, between_sd=0.0, scale_sd=0.3)
        assert effects.lookup(["elsewhere"])[2][0] == pytest.approx(np.exp(0.3**2))
        scale, freedom = effects.random_site(np.array([4.0]))
        variance = scale[0] * freedom[0] / (freedom[0] - 2)
        assert variance == pytest.approx(4.0 * np.exp(2 * 0.3**2))
        drawn = np.random.default_rng(0).normal(0.0, 2.0, 400000) * np.exp(
            np.random.default_rng(1).normal(0.0, 0.3, 400000)
        )
        bound = np.sqrt(scale[0]) * t_distribution.ppf(0.975, freedom[0])
        assert (np.abs(drawn) < bound).mean() == pytest.approx(0.95, abs=0.004)


class TestKnownSites:
    def test_a_known_site_is_known_better_than_the_curve(self) -> None:
        """Three sites far apart leave the curve open by centimetres, and each of them by millimetres."""
        rng = np.random.default_rng(2)
        age, site = rng.uniform(8.0, 80.0, 1200), rng.integers(0, 3, 1200)
        volume = 60 - 0.2 * age + np.array([-8.0, 0.0, 8.0])[site] + rng.normal(0, 2.0, 1200)
        names = [f"s{k}" for k in site]
        table = pd.DataFrame({"participant_id": range(1200), "age": age, "site": names, "left_0_cm3": volume})
        curve = only(table, "sites")
        for name in ("s0", "s1", "s2"):
            assert curve.predict(np.array([40.0]), [name]).scale[0] == pytest.approx(2.0, rel=0.06)
        assert np.sqrt(curve.mean.variance(np.array([40.0])))[0] > 2.0

    def test_curve_and_shifts_hang_together_as_in_the_whole_covariance_matrix(self) -> None:
        rng = np.random.default_rng(6)
        site = np.repeat(np.arange(4), 10)
        x, sd = np.column_stack([np.ones(40), rng.normal(size=40)]), np.exp(rng.normal(0, 0.2, 40))
        of_curves, with_shifts, of_shifts = joint_uncertainty(Whitening(sd, sites=Groups(site), site_sd=1.3), x)
        z = (site[:, None] == np.arange(4)).astype(float)
        both = np.column_stack([x, z]).T / sd**2 @ np.column_stack([x, z])
        both[2:, 2:] += np.eye(4) / 1.3**2
        inverse = np.linalg.inv(both)
        np.testing.assert_allclose(of_curves, inverse[:2, :2])
        np.testing.assert_allclose(with_shifts, inverse[2:, :2])
        np.testing.assert_allclose(of_shifts, np.diag(inverse)[2:])


class TestSexesOfTwoSpreads:
    def test_each_sex_and_site_has_its_own_bounds(self) -> None:
        rng = np.random.default_rng(4)

        def drawn(count: int) -> pd.DataFrame:
            age, site, man = rng.uniform(8, 80, count), rng.integers(0, 6, count), rng.integers(0, 2, count)
            sd = np.where(man, 6.0, 3.0) * np.array([0.7, 1.0, 1.4])[site % 3]
            volume = 60 - 0.2 * age + 5 * man + np.linspace(-4, 4, 6)[site] + sd * rng.normal(size=count)
            columns = {"participant_id": range(count), "age": age, "sex": np.where(man, "M", "F")}
            return pd.DataFrame({**columns, "site": [f"s{k}" for k in site], "left_0_cm3": volume})

        model, new = fit(drawn(3000), model="sites", icv="none"), drawn(40000)
        for sex, group in (("F", "female"), ("M", "male")):
            for site in ("s0", "s1", "s2"):
                some = new[(new["sex"] == sex) & (new["site"] == site)]
                share = inside(model.curves["left_0", "absolute", group], some).mean()
                assert share == pytest.approx(0.95, abs=0.02)


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

    @pytest.mark.parametrize("unknown", [0.0, 0.5, 1.0])
    def test_it_does_not_take_sex_for_the_head_nor_people_without_sex_for_men(
        self, people: Maker, unknown: float
    ) -> None:
        """Women's heads and cerebella are smaller; where half of the women have no sex, they are still no men."""
        table = people(2000)
        woman = (table["sex"] == "F").to_numpy()
        table["icv_cm3"] *= np.where(woman, 0.88, 1.0)
        table["left_0_cm3"] *= (table["icv_cm3"] / 1450) ** 0.6 * np.where(woman, 0.85, 1.0)
        lost = woman & (np.random.default_rng(0).uniform(size=2000) < unknown)
        table = table.astype({"sex": object}).assign(sex=np.where(lost, "", table["sex"]))
        exponent = fit(table, icv="power").curves["left_0", "power_icv", "all"].icv_exponent
        assert exponent == pytest.approx(0.6, abs=0.07)

    def test_it_does_not_take_sites_for_the_head(self, people: Maker) -> None:
        """One scanner measures larger heads and smaller cerebella."""
        table = self.table(people, 0.6).assign(site=lambda t: np.where(t.index % 3 == 0, "a", "b"))
        other = (table["site"] == "a").to_numpy()
        table.loc[other, "icv_cm3"] *= 1.15
        table.loc[other, "left_0_cm3"] *= 0.9
        for words in ("paper", "sites"):
            exponent = fit(table, icv="power", model=words).curves["left_0", "power_icv", "all"].icv_exponent
            assert exponent == pytest.approx(0.6, abs=0.07)


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
