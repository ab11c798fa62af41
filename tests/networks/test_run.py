"""The ensemble as the third stage of a run, in a Ray actor; its weights are random and name nothing sensible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from cerebatch.networks.card import Card, read_card
from cerebatch.networks.weights import read_network, write_weights

pytestmark = pytest.mark.slow


def cerebatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, away from the source tree."""
    command = [sys.executable, "-c", "from cerebatch.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=600, env=os.environ)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Path]) -> Path:
    """A cascade for 4 mm that finds a cerebellum in anything."""
    folder = tmp_path_factory.mktemp("weights") / "mine"
    write(folder, task="lobules", mm=4.0)
    path = write(folder, task="sides", mm=4.0)
    network = read_network(path)
    with torch.no_grad():
        network.out.bias += torch.tensor([-3.0, 0.0, 0.0])  # type: ignore[operator, union-attr]
    write_weights(folder, network, read_card(path, Card))
    return folder


@pytest.fixture(scope="module")
def ran(weights: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run of one phantom under the profile local."""
    out = tmp_path_factory.mktemp("run") / "out"
    result = cerebatch(*command(phantoms, out, weights), "--probseg")
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def command(phantoms: Path, out: Path, weights: Path) -> list[object]:
    """One phantom at 4 mm."""
    return [
        "run", phantoms, out, "participant", "--weights", weights, "--resolution", "4.0",
        "--participant-label", "phantom001",
    ]  # fmt: skip


def test_every_output_names_method_and_weights_and_that_there_was_no_atlas(ran: Path, weights: Path) -> None:
    sidecar = json.loads((ran / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.json").read_text())
    assert sidecar["Method"] == "networks"
    assert sidecar["Weights"]["Name"] == "mine"
    assert sidecar["AtlasChannel"] is False
    assert "Library" not in sidecar


def test_the_confidence_of_each_structure_is_told(ran: Path) -> None:
    table = pd.read_csv(ran / "sub-phantom001/anat/sub-phantom001_seg-lobules_confidence.tsv", sep="\t")
    assert len(table) == 26
    known = table.probability.dropna()
    assert len(known) > 3
    assert known.between(0, 1).all()
    assert table.agreement.isna().all()  # there is one architecture
    assert table.dice_with_atlas.isna().all()


def test_probabilities_belong_to_the_labels(ran: Path) -> None:
    anat = ran / "sub-phantom001/anat"
    image = nib.load(next(anat.glob("*_space-*_probseg.nii.gz")))
    dseg = np.asarray(nib.load(next(anat.glob("*_space-*_dseg.nii.gz"))).dataobj)
    assert image.shape == (*dseg.shape, 27)
    probabilities = image.get_fdata()
    assert np.abs(probabilities.sum(axis=-1) - 1).max() < 0.06  # 27 figures, each rounded to 1/255
    own = np.take_along_axis(probabilities, dseg[..., None].astype(int), -1)[..., 0]
    assert np.all(own >= probabilities.max(axis=-1) - 1.5 / 255)


def test_the_same_command_does_nothing_and_other_weights_do_the_rest(
    ran: Path, phantoms: Path, weights: Path, tmp_path: Path
) -> None:
    again = cerebatch(*command(phantoms, ran, weights), "--probseg", "--profile", "serial")
    assert "0 done, 1 done before, 0 failed" in again.stdout
    plan = cerebatch(*command(phantoms, ran, weights), "--dry-run")
    assert "sub-phantom001: prepare, segment, measure" in plan.stdout or "sub-phantom001: segment" in plan.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resolution", "1.0"], "expected weights for 1.0 mm, found weights for 4.0 mm"),
        (["--method", "atlas"], "--method atlas: expected --library, and no --weights"),
    ],
)
def test_contradictions_are_refused_before_anything_runs(
    weights: Path, phantoms: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    result = cerebatch("run", phantoms, tmp_path / "out", "participant", "--weights", weights, *options)
    assert result.returncode == 2
    assert words in result.stderr
    assert not (tmp_path / "out").exists()
