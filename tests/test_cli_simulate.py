"""`cerebatch simulate`, run as a user runs it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-c", "from cerebatch.cli import main; main()", "simulate", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == status, ran.stderr
    return ran


def test_old_people_without_skull(tmp_path: Path) -> None:
    options = ("--people", 2, "--youngest", 70, "--oldest", 80, "--voxel-size", 4, "--no-skull", "--processes", 1)
    ran = run(tmp_path / "old", *options)
    assert "2 simulated people" in ran.stdout
    assert "no bounds" in ran.stdout
    with (tmp_path / "old/participants.tsv").open(newline="") as stream:
        ages = [float(row["age"]) for row in csv.DictReader(stream, delimiter="\t")]
    assert len(ages) == 2
    assert all(70 <= age <= 80 for age in ages)
    assert (tmp_path / "old/sub-sim0002/anat/sub-sim0002_T1w.nii.gz").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--people", 0), "0 is not in the range"),
        (("--people", 5000, "--table1"), "expected 1 to 4857"),
        (("--table1", "--oldest", 30), "--oldest with --table1"),
        (("--phantoms", "--table1"), "--table1 with --phantoms"),
        (("--source", "subject-3"), "--source with the template"),
        (("--lobules", "."), "found one of them"),
        (("--youngest", 40, "--oldest", 30), "with the youngest first"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    options: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    ran = run(tmp_path / "out", *options, status=2)
    assert words in " ".join(ran.stderr.split())
    assert not (tmp_path / "out").exists()
