"""Sites: their shifts and spreads, new ones, few ones, and women and men who share them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from one_curve import inside, only
from scipy.stats import norm
from scipy.stats import t as t_distribution

from lifespan import FitError, MismatchError, fit, score, transfer
from lifespan.grouping import Groups
from lifespan.models.between import joint_uncertainty
from lifespan.models.sites import SiteEffects
from lifespan.models.whitening import Whitening

Maker = Callable[..., pd.DataFrame]


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
