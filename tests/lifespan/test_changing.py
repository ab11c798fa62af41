"""Change between visits, on people whose true change is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lifespan import LifespanModel, MismatchError, TableError, change, fit, load_model, save
from lifespan.grouping import Groups
from lifespan.models.correlation import fit_correlation

Maker = Callable[..., pd.DataFrame]


def own_slopes(count: int, seed: int, visits: int = 3) -> pd.DataFrame:
    """A truth of another form: everybody has a level and a slope, and each scan an error; ages 40 to 80."""
    rng = np.random.default_rng(seed)
    person, visit = np.repeat(np.arange(count), visits), np.tile(np.arange(visits), count)
    start = rng.uniform(40.0, 70.0, count)
    apart = rng.uniform(0.5, 5.0, (count, visits)).cumsum(axis=1)
    age = (start[:, None] + apart).ravel()
    level, slope = rng.normal(0.0, 5.0, count)[person], rng.normal(0.0, 0.25, count)[person]
    years = age - start[person]
    volume = 90.0 - 0.4 * age + level + slope * years + rng.normal(0.0, 1.2, len(person))
    names = {"participant_id": [f"p{seed}-{k}" for k in person], "session": visit.astype(str)}
    return pd.DataFrame({**names, "age": age, "left_0_cm3": volume})


@pytest.fixture(scope="module")
def model() -> LifespanModel:
    return fit(own_slopes(400, 1), model="visits", icv="none")


class TestChange:
    def test_false_alarms_of_people_without_more_change_than_others_are_5_percent(self, model: LifespanModel) -> None:
        found = change(model, own_slopes(3000, 2, visits=2))
        scored = found[found["status"] != "not scored"]
        assert len(scored) > 2700
        assert scored["status"].isin(["less", "more"]).mean() == pytest.approx(0.05, abs=0.012)
        near = scored["years"] < 2.0
        assert (scored[near]["status"] != "usual").mean() == pytest.approx(0.05, abs=0.03)

    def test_a_loss_is_found_more_often_than_by_the_difference_of_two_z(self, model: LifespanModel) -> None:
        table = own_slopes(1000, 3, visits=2)
        table.loc[table["session"] == "1", "left_0_cm3"] -= 5.0
        found = change(model, table)
        scored = found[found["status"] != "not scored"]
        power = (scored["status"] == "less").mean()
        naive = (scored["z"] - scored["z_before"] < -1.96).mean()
        assert power > 0.5 > naive + 0.2

    def test_the_bound_is_where_change_becomes_reliable(self, model: LifespanModel) -> None:
        found = change(model, own_slopes(300, 4, visits=2))
        scored = found[found["status"] != "not scored"]
        less = scored["value"] < scored["lower"]
        assert ((scored["status"] == "less") == less).all()
        assert ((scored["lower"] < scored["expected"]) & (scored["expected"] < scored["upper"])).all()
        np.testing.assert_allclose(scored["p"], 2 * stats.norm.sf(scored["z_change"].abs()))

    def test_people_of_the_fit_are_told_also_by_a_model_that_was_written(
        self, model: LifespanModel, tmp_path: Path
    ) -> None:
        save(model, tmp_path / "model.json")
        both = pd.concat([own_slopes(400, 1).head(6), own_slopes(2, 5)])
        found = change(load_model(tmp_path), both).set_index("participant_id")
        assert found["in_fit"].groupby(level=0).all().to_dict() == {
            "p1-0": True,
            "p1-1": True,
            "p5-0": False,
            "p5-1": False,
        }
        assert found.loc["p1-0", "note"].str.contains("was in the fit").all()
        assert "p1-0" not in (tmp_path / "model.json").read_text()

    def test_what_it_cannot_be_asked(self, model: LifespanModel) -> None:
        with pytest.raises(TableError, match="people with two visits, found none"):
            change(model, own_slopes(30, 6, visits=1))
        table = own_slopes(40, 7)
        with pytest.raises(MismatchError, match="a model with visits, found one of paper"):
            change(fit(table, icv="none", one_visit=True), table)

    def test_visits_at_two_sites_are_not_judged(self, people: Maker) -> None:
        table = people(200, visits=2, rho=0.8, sites=5, site_sd=3.0, men=0.0)
        model = fit(table, model="sites+visits", icv="none")
        moved = table.head(4).assign(site=["site-0", "site-1", "new", "new"])
        found = change(model, moved, pooled=True).query("structure == 'left_0'").set_index("participant_id")
        assert found["status"]["sub-0000"] == "not scored" and "two sites" in found["note"]["sub-0000"]
        # At a site that is not known both visits share its shift.
        assert found["correlation"]["sub-0001"] > model.curves["left_0", "absolute", "all"].rho


class TestCorrelation:
    @pytest.mark.parametrize("fading", [None, 8.0])
    def test_it_is_found_with_its_fading(self, fading: float | None) -> None:
        rng = np.random.default_rng(4)
        age = np.cumsum(rng.uniform(0.5, 6.0, (1500, 3)), axis=1)
        apart = np.abs(age[:, :, None] - age[:, None, :])
        covariance = 0.9 * (np.exp(-apart / fading) if fading else np.ones_like(apart))
        covariance[:, range(3), range(3)] = 1.0
        z = np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), rng.normal(size=(1500, 3)))
        found = fit_correlation(z.ravel(), age.ravel(), Groups(np.repeat(np.arange(1500), 3)))
        assert found is not None
        assert found.at_once == pytest.approx(0.9, abs=0.02)
        if fading is None:
            assert found.fading is None or found.fading > 100
        else:
            assert found.fading == pytest.approx(8.0, rel=0.2)
            years = np.array([1.0, 4.0, 8.0])
            np.testing.assert_allclose(found.at(years), 0.9 * np.exp(-years / 8.0), atol=0.05)

    def test_without_repeats_there_is_none(self) -> None:
        assert fit_correlation(np.ones(9), np.arange(9.0), Groups(np.arange(9))) is None
