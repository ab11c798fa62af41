"""Cross-validated calibration and choice of a model, on people whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lifespan import Check, check, plot_check, read_table
from lifespan.checking import pit_distance, usual_models
from lifespan.held_out import folds_of
from lifespan.plots.check_page import worm

Maker = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def found(people: Maker) -> Check:
    """Spread that grows threefold; the paper's model takes it for constant."""
    return check(people(900, men=0.0, structures=1, sd_slope=1.8), models=["paper", "spread", "spread+shape"])


class TestCheck:
    def test_spread_that_grows_is_seen_and_its_model_recommended(self, found: Check) -> None:
        assert found.recommended == "spread"
        overall = found.models[found.models["structure"] == "all"].set_index("model")
        assert overall["behind"]["paper"] > 0.02 and overall["behind_low"]["paper"] > 0
        assert any(text.startswith("paper is behind") for text in found.recommendation)

    def test_where_bounds_do_not_hold_is_told_by_age(self, found: Check) -> None:
        ages = found.bins[(found.bins["by"] == "age") & (found.bins["structure"] == "all")]
        paper, spread = (ages[ages["model"] == model].set_index("bin") for model in ("paper", "spread"))
        assert paper["inside_high"]["70-79"] < 0.95 < paper["inside_low"]["18-29"]
        assert spread["inside_low"]["70-79"] < 0.95 < spread["inside_high"]["70-79"]
        np.testing.assert_allclose(ages["inside"] + ages["below"] + ages["above"], 1.0)

    def test_tails_are_told(self, people: Maker) -> None:
        table = people(600, men=0.0, structures=1)
        noise = np.clip(np.random.default_rng(1).standard_t(2.5, 600), -10.0, 10.0)
        found = check(table.assign(left_0_cm3=60 - 0.2 * table["age"] + 3 * noise), models=["paper"])
        assert any("tails are heavier" in text for text in found.recommendation)

    def test_every_model_is_asked_about_the_same_people(self, found: Check) -> None:
        rows = [one.rows["row"].tolist() for one in found.held_out]
        assert rows[0] == rows[1] == rows[2] and len(rows[0]) > 850

    def test_pictures_are_drawn(self, found: Check, tmp_path: Path) -> None:
        paths = plot_check(found, tmp_path / "new")
        assert [path.name for path in paths] == ["check.png", "check.svg"]
        assert all(path.stat().st_size > 10000 for path in paths)


def test_visits_of_a_person_are_in_one_fold_and_folds_are_of_one_size(people: Maker) -> None:
    table = read_table(people(103, visits=3, sites=4))
    fold = folds_of(table, 5, 0)
    by_person = pd.Series(fold).groupby(table.texts("participant_id"))
    assert (by_person.nunique() == 1).all()
    counts = by_person.first().value_counts()
    assert counts.max() - counts.min() <= 1
    assert (folds_of(table, 5, 0) == fold).all() and (folds_of(table, 5, 1) != fold).any()


def test_sites_and_visits_are_tried_where_there_are_some(people: Maker) -> None:
    assert usual_models(read_table(people(30)))[:2] == ["paper", "spread"]
    assert usual_models(read_table(people(30, sites=3, visits=2)))[1:3] == ["sites+visits", "spread+sites+visits"]


def test_the_distance_from_even_centiles_is_that_of_scipy() -> None:
    z = np.random.default_rng(0).normal(0.2, 1.3, 200)
    assert pit_distance(z) == pytest.approx(stats.kstest(z, "norm").statistic)


def test_a_worm_of_normal_people_stays_in_its_band() -> None:
    inside = []
    for seed in range(20):
        _, off, half = worm(np.random.default_rng(seed).normal(size=500))
        inside.append((np.abs(off) < half).mean())
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
