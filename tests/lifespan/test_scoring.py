"""Scores, what a model refuses, and the model file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifespan import (
    FitError,
    LifespanModel,
    MismatchError,
    ModelFileError,
    Reading,
    coefficient_table,
    fit,
    load_model,
    read_table,
    save,
    score,
)

Maker = Callable[..., pd.DataFrame]
SAID = Reading(tool="toy", icv_method="toy ICV")


@pytest.fixture(scope="module")
def table(people: Maker) -> pd.DataFrame:
    return people(600)


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> LifespanModel:
    return fit(table, reading=SAID)


class TestFit:
    def test_there_is_a_curve_of_each_structure_measure_and_group(self, model: LifespanModel) -> None:
        assert model.structures == ("left_0", "left_1")
        assert model.measures == ("absolute", "percent_icv")
        assert model.groups == ("all", "female", "male")
        assert len(model.curves) == 12

    def test_the_groups_curves_are_those_of_their_people(self, model: LifespanModel, table: pd.DataFrame) -> None:
        women = fit(table[table["sex"] == "F"], reading=SAID).curves["left_0", "absolute", "all"]
        age = np.array([10.0, 40.0, 80.0])
        found = model.curves["left_0", "absolute", "female"].predict(age)
        np.testing.assert_allclose(found.location, women.predict(age).location)
        np.testing.assert_allclose(found.scale, women.predict(age).scale)

    def test_it_counts_people_by_sex_site_and_decade(self, model: LifespanModel, table: pd.DataFrame) -> None:
        counts = model.counts
        assert counts.people["female"] == int((table["sex"] == "F").sum())
        assert counts.by_site["all"] == {"site-0": 600}
        assert counts.by_decade["all"][40] == int(table["age"].between(40, 50, inclusive="left").sum())
        near = int((np.abs(np.floor(table["age"]) + 0.5 - 30.0) <= 5).sum())
        assert counts.near("all", np.array([30.0]))[0] == near

    def test_visits_of_a_person_count_once(self, people: Maker) -> None:
        table = people(60, visits=4, rho=0.5)
        model = fit(table, model="visits", icv="none")
        for age in (20.0, 44.3, 79.0):
            here = table[(np.floor(table["age"]) + 0.5 - age).abs() <= 5]
            found = model.predict([age], structure="left_0")["people_near"][0]
            assert found == here["participant_id"].nunique() < len(here)

    def test_people_without_a_structure_do_not_stand_behind_its_curve(self, people: Maker, tmp_path: Path) -> None:
        table = people(200)
        table.loc[table["age"] > 40, "left_1_cm3"] = np.nan
        table.loc[[5], "age"] = 84.0
        table.loc[5, "left_1_cm3"] = 50.0
        model = fit(table, icv="none")
        save(model, tmp_path / "model.json")
        for used in (model, load_model(tmp_path / "model.json")):
            near = {name: used.predict([60.0], structure=name)["people_near"][0] for name in ("left_0", "left_1")}
            assert near["left_1"] == 0 < near["left_0"]
            scores = score(used, table[table["age"].between(58, 62)], pooled=True).groupby("structure")["people_near"]
            assert scores.max()["left_1"] == 0 < scores.min()["left_0"]

    def test_decades_with_few_people_are_warned_of_with_counts(self, people: Maker) -> None:
        few = people(300)
        few = few[(few["age"] < 60) | (few.index < 5)]
        warnings = fit(few).warnings
        old = int((few["age"].between(70, 80, inclusive="left")).sum())
        assert any(w.startswith("all: fewer than 20") and f"70-79 years: {old}" in w for w in warnings)

    def test_a_group_with_too_few_people_is_left_out_with_a_warning(self, people: Maker) -> None:
        table = people(60, men=0.0)
        table.loc[:4, "sex"] = "M"
        model = fit(table)
        assert model.groups == ("all", "female")
        assert any("male: 5 people are too few" in warning for warning in model.warnings)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.head(10), "at least 20 people, found 10"),
            (lambda t: t.assign(age=30.0), "several ages, found 30 years in every row"),
            (lambda t: t.assign(left_0_cm3=50.0), "one value in every row of left_0"),
        ],
    )
    def test_what_cannot_be_fitted(self, table: pd.DataFrame, change: Maker, message: str) -> None:
        with pytest.raises(FitError, match=message):
            fit(change(table))

    def test_visits_of_few_people_are_few_people(self, people: Maker) -> None:
        with pytest.raises(FitError, match="at least 20 people, found 9"):
            fit(people(9, visits=10), model="visits")

    def test_without_icv_only_volumes_are_fitted(self, table: pd.DataFrame) -> None:
        model = fit(table.drop(columns="icv_cm3"))
        assert model.measures == ("absolute",)
        assert any("no intracranial volumes" in warning for warning in model.warnings)

    @pytest.mark.parametrize("words", ["paper", "sites", "spread", "spline"])
    def test_coefficients_are_of_the_curve(self, people: Maker, words: str) -> None:
        members = read_table(people(300, sites=4, site_sd=2.0))
        fitted = fit(members, model=words)
        found = coefficient_table(fitted, members).query("measure == 'absolute' and group == 'female'")
        rows = found[found["structure"] == "left_0"].set_index("term")
        curve = fitted.curves["left_0", "absolute", "female"]
        if words != "spline":
            value = sum(rows["estimate"].get(f"b{k}", 0.0) * 30.0**k for k in range(4))
            if "g" in rows.index:
                value += rows["estimate"]["g"] * (1 - np.exp(-30.0 / rows["estimate"]["tau"]))
                assert rows["ci_low"]["tau"] < rows["estimate"]["tau"] < rows["ci_high"]["tau"]
            assert value == pytest.approx(curve.mean.value(np.array([30.0]))[0])
        assert (rows["se"] > 0).all()

    def test_tables_of_curves_and_decisions(self, model: LifespanModel) -> None:
        curves, decisions = model.curve_table(step=5.0), model.decision_table()
        assert (curves["lower"] < curves["mean"]).all() and (curves["mean"] < curves["upper"]).all()
        assert len(decisions) == 12 * 7
        assert (decisions.groupby(["structure", "measure", "group"])["chosen"].sum() == 1).all()


class TestScore:
    def test_about_95_percent_are_inside_and_the_rest_is_told_by_side(
        self, model: LifespanModel, table: pd.DataFrame
    ) -> None:
        scores = score(model, table, reading=SAID)
        assert len(scores) == 600 * 4
        assert (scores["status"] == "inside").mean() == pytest.approx(0.95, abs=0.015)
        below, above = (scores[scores["status"] == status] for status in ("below", "above"))
        assert (below["value"] < below["lower"]).all() and (below["centile"] < 2.5).all() and (below["z"] < -1.9).all()
        assert (above["value"] > above["upper"]).all() and (above["centile"] > 97.5).all()

    def test_each_person_is_scored_by_the_curves_of_their_sex(self, model: LifespanModel, table: pd.DataFrame) -> None:
        unknown = table.astype({"sex": object})
        unknown.loc[2, "sex"] = ""
        groups = score(model, unknown, reading=SAID).groupby("participant_id")["group"].unique()
        for k in range(6):
            expected = "all" if k == 2 else {"F": "female", "M": "male"}[table["sex"][k]]
            assert list(groups[f"sub-{k:04d}"]) == [expected]
        assert set(score(model, table, pooled=True, reading=SAID)["group"]) == {"all"}

    def test_where_one_sex_has_no_curve_of_a_structure_that_of_all_is_used(self, table: pd.DataFrame) -> None:
        holed = table.astype({"left_1_cm3": object})
        holed.loc[holed["sex"] == "M", "left_1_cm3"] = ""
        fitted = fit(holed, reading=SAID)
        assert ("left_1", "absolute", "male") not in fitted.curves
        scores = score(fitted, table[table["sex"] == "M"].head(3), reading=SAID)
        assert scores.groupby("structure")["group"].unique().map(list).to_dict() == {
            "left_0": ["male"],
            "left_1": ["all"],
        }

    def test_people_stay_in_their_order(self, model: LifespanModel, table: pd.DataFrame) -> None:
        ids = score(model, table, reading=SAID)["participant_id"].drop_duplicates()
        assert list(ids) == list(table["participant_id"])

    def test_outside_the_fitted_ages_there_is_no_answer(self, model: LifespanModel, table: pd.DataFrame) -> None:
        old = table.head(2).assign(age=[99.0, 40.0])
        scores = score(model, old, reading=SAID)
        first, second = (scores[scores["participant_id"] == name] for name in old["participant_id"])
        assert (first["status"] == "not scored").all()
        assert first[["mean", "lower", "upper", "z", "centile"]].isna().all(axis=None)
        assert first["note"].str.contains("age outside the fitted").all()
        assert (second["status"] != "not scored").all()

    def test_or_a_marked_one(self, model: LifespanModel, table: pd.DataFrame) -> None:
        scores = score(model, table.head(1).assign(age=99.0), extrapolate=True, reading=SAID)
        assert scores["note"].str.contains("extrapolated: fitted").all()
        assert scores["z"].notna().all()

    def test_few_people_near_an_age_are_told_with_their_count(self, people: Maker) -> None:
        table = people(200)
        few = fit(table[(table["age"] < 55) | (table.index < 40)])
        scores = score(few, table[table["age"] > 70].head(3), pooled=True)
        assert (scores["people_near"] < 20).all()
        assert scores["note"].str.match("few people: [0-9]+ within five years").all()

    def test_a_missing_volume_has_no_score(self, model: LifespanModel, table: pd.DataFrame) -> None:
        holed = table.head(2).astype({"left_0_cm3": object})
        holed.loc[0, "left_0_cm3"] = ""
        scores = score(model, holed, reading=SAID)
        assert scores.loc[scores["note"] == "no value", "structure"].unique().tolist() == ["left_0"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("reading", "change", "message"),
        [
            (Reading(tool="other", icv_method="toy ICV"), lambda t: t, "volumes of the model's tool, toy, found other"),
            (Reading(icv_method="toy ICV"), lambda t: t, "the model's tool, toy, found not stated"),
            (Reading(tool="toy", icv_method="eTIV"), lambda t: t, "the model's method, toy ICV, found eTIV"),
            (SAID, lambda t: t.drop(columns="icv_cm3"), "intracranial volumes, which the model divides by, found none"),
            (SAID, lambda t: t.drop(columns="left_1_cm3"), "the model's structures, left_0, left_1, found no left_1"),
            (SAID, lambda t: t.assign(vermis_cm3=5.0), "found vermis, which the model has not"),
        ],
    )
    def test_tables_that_the_model_was_not_fitted_for(
        self, model: LifespanModel, table: pd.DataFrame, reading: Reading, change: Maker, message: str
    ) -> None:
        with pytest.raises(MismatchError, match=message):
            score(model, change(table), reading=reading)


class TestFile:
    @pytest.mark.parametrize("words", ["paper", "spline+spread+sites+visits+shape"])
    def test_a_model_that_was_written_scores_the_same(self, people: Maker, tmp_path: Path, words: str) -> None:
        table = people(200, visits=2, rho=0.5, sites=4, site_sd=2.0, sd_slope=0.8)
        model = fit(table, model=words, icv="power", one_visit=words == "paper")
        save(model, tmp_path / "model.json")
        pd.testing.assert_frame_equal(score(load_model(tmp_path / "model.json"), table), score(model, table))

    def test_it_says_what_it_is_of(self, model: LifespanModel, tmp_path: Path) -> None:
        save(model, tmp_path / "model.json")
        content = json.loads((tmp_path / "model.json").read_text())
        assert (content["format"], content["format_version"]) == ("lifespan model", 2)
        assert (content["tool"], content["icv_method"]) == ("toy", "toy ICV")
        assert set(content["counts"]) == {"people", "observations", "by_site", "by_decade", "ages", "of_curves"}
        assert len(content["curves"][0]["decisions"]) == 7
        assert load_model(tmp_path).structures == model.structures

    def test_a_model_of_version_1_is_still_read(self) -> None:
        """A spline of plain years, a shape that was neither centred nor scaled; the numbers are those of version 1."""
        model = load_model(Path(__file__).parent / "data" / "model_version_1.json")
        who = {"participant_id": ["a", "b", "c"], "age": [10.0, 40.0, 70.0], "site": ["s1", "s2", "elsewhere"]}
        scores = score(model, pd.DataFrame({**who, "x_cm3": [60.0, 55.0, 50.0]}))
        np.testing.assert_allclose(scores["mean"], [67.55202, 56.462626, 52.722189], rtol=1e-6)
        # With a shape version 1 took the people for endless.
        np.testing.assert_allclose(scores["lower"], [60.659181, 50.812371, 47.231305], rtol=2e-3)
        np.testing.assert_allclose(scores["upper"], [79.360822, 66.142634, 62.129164], rtol=5e-3)
        np.testing.assert_allclose(scores["z"], [-2.277464, -0.166715, -0.594803], atol=0.03)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("no json", "expected a model as JSON"),
            ('{"format": "other"}', "JSON with format 'lifespan model'"),
            ('{"format": "lifespan model", "format_version": 3}', "expected format version 1 to 2, found version 3"),
            ('{"format": "lifespan model", "format_version": 2}', "a whole model"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "model.json"
        path.write_text(text)
        with pytest.raises(ModelFileError, match=message):
            load_model(path)
