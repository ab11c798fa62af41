"""`cerebatch lifespan`, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def run(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-c", "from cerebatch.cli.main import main; main()", "lifespan", *arguments]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert ran.returncode == status, ran.stderr
    return ran


def people(count: int, seed: int, noise: float = 3.0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    age = rng.uniform(8, 80, count).round(2)
    true = rng.normal(0, 2, count)
    rng = np.random.default_rng(seed)
    table = {"participant_id": [f"sub-{k}" for k in range(count)], "age": age, "sex": rng.choice(["F", "M"], count)}
    for side in ("left", "right"):
        table[f"{side}_cortex_mm3"] = 1000 * (60 - 0.15 * age + true + rng.normal(0, noise, count))
    return pd.DataFrame(table | {"icv_mm3": rng.normal(1.45e6, 1e5, count)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of people and a fitted model."""
    place = tmp_path_factory.mktemp("lifespan")
    people(300, 1).to_csv(place / "people.tsv", sep="\t", index=False)
    people(300, 2, noise=0.5).to_csv(place / "better.tsv", sep="\t", index=False)
    ran = run(place, "fit", "people.tsv", "out", "--tool", "toy")
    assert ran.stdout.startswith("12 curves of 2 structures (300 all, ")
    return place


def test_fit_writes_the_model_and_its_tables(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "coefficients.tsv",
        "curves.tsv",
        "decisions.tsv",
        "flags.tsv",
        "model.json",
    ]
    assert json.loads((folder / "out/model.json").read_text())["tool"] == "toy"
    coefficients = pd.read_csv(folder / "out/coefficients.tsv", sep="\t")
    assert set(coefficients["group"]) == {"all", "female", "male"}


def test_score_prints_a_table_and_nothing_else(folder: Path) -> None:
    ran = run(folder, "score", "out/model.json", "people.tsv", "--tool", "toy")
    scores = pd.read_csv(StringIO(ran.stdout), sep="\t")
    assert len(scores) == 300 * 4
    assert 0.92 < (scores["status"] == "inside").mean() < 0.98


def test_score_says_on_standard_error_what_is_missing(folder: Path) -> None:
    old = people(300, 1).head(1).assign(age=95)
    old.to_csv(folder / "old.tsv", sep="\t", index=False)
    ran = run(folder, "score", "out", "old.tsv", "--tool", "toy")
    assert "note: 4 of 4 rows: age outside the fitted" in ran.stderr
    assert "not scored" in ran.stdout
    assert "extrapolated" in run(folder, "score", "out", "old.tsv", "--tool", "toy", "--extrapolate").stdout


def test_compare_counts_with_and_without_correction(folder: Path) -> None:
    ran = run(folder, "compare", "people.tsv", "better.tsv")
    assert len(pd.read_csv(StringIO(ran.stdout), sep="\t")) == 2
    expected = "2 of 2 structures vary less in better.tsv; 2 of them with p < 0.05 uncorrected, 2 after Holm"
    assert expected in ran.stderr


def test_plot_names_its_files(folder: Path) -> None:
    ran = run(folder, "plot", "out", "pictures", "--table", "people.tsv", "--tool", "toy", "--show", "left_cortex")
    paths = [folder / line for line in ran.stdout.splitlines()]
    assert len(paths) == 2 * 4 * 2 + 3 + 1
    assert all(path.is_file() for path in paths)


def test_check_writes_its_tables_and_recommends(folder: Path) -> None:
    ran = run(folder, "check", "people.tsv", "checked", "--model", "paper", "--model", "spread", "--folds", "3")
    assert ran.stdout.startswith("recommended: --model paper")
    names = {path.name for path in (folder / "checked").iterdir()}
    assert names == {"models.tsv", "calibration.tsv", "check.png", "check.svg"}


def test_change_prints_later_visits_and_says_who_was_in_the_fit(folder: Path) -> None:
    twice = pd.concat([people(120, 3).assign(session="1"), people(120, 4).assign(session="2")])
    twice.loc[twice["session"] == "2", "age"] += 2.0
    twice.assign(sex="F").to_csv(folder / "twice.tsv", sep="\t", index=False)
    run(folder, "fit", "twice.tsv", "visits", "--tool", "toy", "--model", "visits", "--icv", "none")
    ran = run(folder, "change", "visits", "twice.tsv", "--tool", "toy")
    table = pd.read_csv(StringIO(ran.stdout), sep="\t")
    assert len(table) == 120 * 2 and set(table["status"]) <= {"usual", "less", "more"}
    assert "120 people have the name of somebody who was in the fit" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "out", "people.tsv"), "expected volumes of the model's tool, toy, found not stated"),
        (("fit", "none.tsv", "new"), "none.tsv: expected a table"),
        (("fit", "people.tsv", "new", "--model", "magic"), "model 'magic': expected words out of paper, spline"),
        (("fit", "people.tsv", "new", "--icv", "magic"), "icv 'magic': expected one of ratio, power, none"),
        (("fit", "people.tsv", "people.tsv/new"), "cannot be written"),
        (("score", "people.tsv", "people.tsv"), "people.tsv: expected a model as JSON"),
    ],
)
def test_what_a_user_can_mend_is_one_message(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = run(folder, *arguments, status=2)
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
