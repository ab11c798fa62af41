"""The README's commands for a cluster as a user types them: a real scan, the default method, a real Slurm."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRETENDED_GPUS = ROOT / "tests/helpers/pretended_gpus"
Followed = dict[str, tuple[Path, subprocess.CompletedProcess[str]]]
"""Profile -> folder that its commands were typed in, and what they printed."""

PERSON = "pair07"
"""Brain-extracted, on the smallest grid; the T2w stays behind, so that it is prepared fast."""


def readme_commands(profile: str) -> str:
    """The first block under "On a cluster", with another profile as the start; space is looked for for one scan."""
    block = re.search(r"### On a cluster\n\n((?: {4}.*\n)+)", (ROOT / "README.md").read_text())
    assert block is not None
    lines = [line.strip() for line in block[1].splitlines()]
    assert len(lines) == 3
    assert all(line.startswith("cerebatch ") for line in lines)
    text = "\n".join(lines)
    assert "show slurm " in text
    assert "--cases 5000" in text
    return text.replace("show slurm ", f"show {profile} ").replace("--cases 5000", "--cases 1")


def follow(profile: str, folder: Path, scans: Path) -> subprocess.CompletedProcess[str]:
    """Type the commands in a folder with a dataset called BIDS_DIR."""
    for name in ("dataset_description.json", "participants.tsv", f"sub-{PERSON}/anat/sub-{PERSON}_T1w.nii.gz"):
        (folder / "BIDS_DIR" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(scans / name, folder / "BIDS_DIR" / name)
    command = folder / "bin/cerebatch"  # this tree's, whatever is installed
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cerebatch "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{command.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{PRETENDED_GPUS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    return subprocess.run(
        f"set -e\n{readme_commands(profile)}", shell=True, cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def followed(data: Path, roomy_slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """The commands for both profiles at once: each has one scan, on one core."""
    folders = {profile: tmp_path_factory.mktemp(profile) for profile in ("slurm", "slurm-gpu")}
    with ThreadPoolExecutor(len(folders)) as pool:
        runs = pool.map(lambda item: follow(*item, data / "scans"), folders.items())
        return {profile: (folder, run) for (profile, folder), run in zip(folders.items(), runs, strict=True)}


@pytest.mark.parametrize(("profile", "device"), [("slurm", "CPU"), ("slurm-gpu", "pretended GPU")])
def test_the_commands_of_the_readme_end_with_labels_and_volumes(followed: Followed, profile: str, device: str) -> None:
    folder, run = followed[profile]
    assert run.returncode == 0, run.stdout
    assert "1 done, 0 done before, 0 failed, 0 left out" in run.stdout
    assert re.search(rf"actor \d+ on \S+: {device}", run.stdout), run.stdout
    anat = folder / f"OUT_DIR/sub-{PERSON}/anat"
    sidecar = json.loads((anat / f"sub-{PERSON}_seg-lobules_dseg.json").read_text())
    assert sidecar["Method"] == "networks"
    assert (anat / f"sub-{PERSON}_seg-lobules_volumes.tsv").is_file()
    assert (folder / f"OUT_DIR/reports/sub-{PERSON}.html").is_file()


def test_both_profiles_give_the_same_labels(followed: Followed) -> None:
    first, second = (
        (folder / f"OUT_DIR/sub-{PERSON}/anat/sub-{PERSON}_seg-lobules_dseg.nii.gz").read_bytes()
        for folder, _ in followed.values()
    )
    assert first == second
