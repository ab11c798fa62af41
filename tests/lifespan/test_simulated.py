"""No bounds are made from simulated people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifespan import FitError, Reading, fit, read_table, transfer
from lifespan.simulated import is_simulated


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Thirty people in two folders below a dataset."""
    rng = np.random.default_rng(1)
    age = rng.uniform(10, 80, 30).round(1)
    frame = pd.DataFrame({"participant_id": [f"sub-{k}" for k in range(30)], "age": age, "sex": ["F", "M"] * 15})
    frame["site"] = ["a", "b"] * 15
    frame["left_cortex_cm3"] = 60 - 0.1 * age + rng.normal(0, 2, 30)
    path = tmp_path / "derivatives/volumes.tsv"
    path.parent.mkdir()
    frame.to_csv(path, sep="\t", index=False)
    return path


def describe(folder: Path, **content: object) -> None:
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "test", **content}))


def test_a_dataset_that_says_so_is_found_from_below(table: Path) -> None:
    describe(table.parents[1], Simulated=True)
    describe(table.parent, DatasetType="derivative")
    assert is_simulated(table)
    assert read_table(table).simulated
    with pytest.raises(FitError, match="simulated people"):
        fit(table)


@pytest.mark.parametrize("content", [{}, {"Simulated": False}, {"Simulated": "yes"}])
def test_other_datasets_are_fitted(table: Path, content: dict[str, object]) -> None:
    describe(table.parents[1], **content)
    assert fit(table, icv="none").structures


def test_participants_of_a_simulated_dataset_are_found_too(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "simulated"
    other.mkdir()
    describe(other, Simulated=True)
    frame = pd.read_csv(table, sep="\t")
    frame[["participant_id", "age", "sex"]].to_csv(other / "participants.tsv", sep="\t", index=False)
    frame.drop(columns=["age", "sex"]).to_csv(table, sep="\t", index=False)
    with pytest.raises(FitError, match="simulated people"):
        fit(table, reading=Reading(participants=other / "participants.tsv"))


def test_simulated_controls_teach_no_site(table: Path) -> None:
    model = fit(table, model="sites", icv="none")
    describe(table.parents[1], Simulated=True)
    with pytest.raises(FitError, match="simulated people"):
        transfer(model, table)
