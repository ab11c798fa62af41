"""`cerebatch simulate`: what its options make and refuse."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.errors import SettingsError


def test_old_people_without_skull(tmp_path: Path) -> None:
    ages_asked = ["--people", "2", "--youngest", "70", "--oldest", "80"]
    quick = ["--voxel-size", "4", "--no-skull", "--processes", "1"]
    ran = CliRunner().invoke(app, ["simulate", str(tmp_path / "old"), *ages_asked, *quick])
    assert ran.exit_code == 0, ran.output
    assert "2 simulated people" in ran.output
    assert "no bounds" in ran.output
    with (tmp_path / "old/participants.tsv").open(newline="") as stream:
        ages = [float(row["age"]) for row in csv.DictReader(stream, delimiter="\t")]
    assert len(ages) == 2
    assert all(70 <= age <= 80 for age in ages)
    assert (tmp_path / "old/sub-sim0002/anat/sub-sim0002_T1w.nii.gz").is_file()


def test_no_people_are_refused(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["simulate", str(tmp_path / "out"), "--people", "0"]).exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--people 5000 --table1", "expected 1 to 4857"),
        ("--table1 --oldest 30", "--oldest with --table1"),
        ("--phantoms --table1", "--table1 with --phantoms"),
        ("--source subject-3", "--source with the template"),
        ("--lobules .", "found one of them"),
        ("--youngest 40 --oldest 30", "with the youngest first"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(options: str, words: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["simulate", str(tmp_path / "out"), *options.split()])
    assert isinstance(ran.exception, SettingsError)
    assert words in str(ran.exception)
    assert not (tmp_path / "out").exists()
