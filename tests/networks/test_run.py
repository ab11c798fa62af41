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
from small_networks import write_cascade

from cerebatch.library.case import LabelledCase
from cerebatch.measures.icv import from_affine
from cerebatch.networks.auxiliary import intracranial, t2synth
from cerebatch.networks.auxiliary.registration import RegistrationNetwork
from cerebatch.networks.auxiliary.superres import SuperResolution
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.networks.weights import write_weights
from cerebatch.simulation.phantom import write_cohort
from cerebatch.stages.prepare import Prepared, prepare

pytestmark = pytest.mark.slow

HELPERS = ("icv", "registration", "t2synth")


def cerebatch(*arguments: object, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-P", "-c", "from cerebatch.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600, env=os.environ)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cascade for 4 mm that finds a cerebellum in anything."""
    return write_cascade(tmp_path_factory.mktemp("weights") / "mine")


@pytest.fixture(scope="module")
def ran(weights: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run of one phantom under the profile local, started in a source tree: a package without kernels."""
    out, tree = tmp_path_factory.mktemp("run") / "out", tmp_path_factory.mktemp("tree")
    (tree / "cerebatch").mkdir()
    (tree / "cerebatch/__init__.py").write_text("raise ImportError('not from here')\n")
    result = cerebatch(*command(phantoms, out, weights), "--probseg", cwd=tree)
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
    # A voxel is cerebellum where all labels together are more probable than background, and then the best label wins.
    inside = dseg > 0
    assert np.all(own[inside] >= probabilities[inside, 1:].max(axis=-1) - 1.5 / 255)
    assert np.all(own[~inside] >= 0.5 - 1.5 / 255)


def test_the_same_command_does_nothing_and_other_weights_do_the_rest(
    ran: Path, phantoms: Path, weights: Path, tmp_path: Path
) -> None:
    again = cerebatch(*command(phantoms, ran, weights), "--probseg", "--profile", "serial")
    assert "0 done, 1 done before, 0 failed" in again.stdout
    plan = cerebatch(*command(phantoms, ran, weights), "--dry-run")
    assert "sub-phantom001: prepare, segment, measure" in plan.stdout or "sub-phantom001: segment" in plan.stdout


@pytest.fixture(scope="module")
def helpers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the networks beside the ensemble."""
    folder = tmp_path_factory.mktemp("helpers")
    torch.manual_seed(0)
    for name, network, mm in (
        ("icv", intracranial.network(), 2.0),
        ("registration", RegistrationNetwork(), 4.0),
        ("t2synth", t2synth.network(), 4.0),
        ("superres", SuperResolution(), 1.0),
    ):
        card = HelperCard(network=name, channels=("T1w",), resolution_mm=mm, parameters=1, training={})  # type: ignore[arg-type]
        write_weights(folder, network, card)
    return folder


def test_networks_beside_the_ensemble_are_named_in_what_they_made(
    weights: Path,
    helpers: Path,
    phantoms: Path,
    tmp_path: Path,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
) -> None:
    library = write_library(tmp_path / "LIB.zarr", [make_case("a", 1), make_case("b", 2)])
    out = tmp_path / "out"
    result = cerebatch(
        *command(phantoms, out, weights), "--library", library, "--auxiliary-weights", helpers,
        "--registration", "network", "--icv", "network", "--synthesise-t2w", "--no-pdf",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    sidecar = json.loads((out / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.json").read_text())
    digest = {name: read_card(helpers / f"{name}.safetensors", HelperCard).sha256 for name in HELPERS}
    assert sidecar["Registration"] == digest["registration"]
    assert sidecar["T2w"] == f"made up from the T1w by network {digest['t2synth']}"
    assert sidecar["ICV"]["Method"] == f"network of the intracranial cavity, weights {digest['icv'][:12]}"
    assert sidecar["ICV"]["ErrorPercentSD"] is None
    page = (out / "reports/sub-phantom001.html").read_text()
    assert "network, error not measured" in page
    assert "registered to the scan with a convolutional network" in page
    assert "made up from the T1-weighted one by a network" in page


def test_a_brain_extracted_scan_has_its_volume_from_the_affine(helpers: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path / "bids", 1, seed=4, resolution_mm=3.0, skull=False)
    (scan,) = (tmp_path / "bids").glob("sub-*/anat/*_T1w.nii.gz")
    prepare(scan, tmp_path, resolution=4.0, icv=helpers / "icv.safetensors")
    found = Prepared.read(tmp_path)
    assert found.icv == from_affine(found.affine)


@pytest.mark.long
def test_super_resolution_refines_what_is_coarser_than_the_grid_and_nothing_else(
    helpers: Path, phantoms: Path, tmp_path: Path
) -> None:
    weights = helpers / "superres.safetensors"
    scan = phantoms / "sub-phantom001/anat/sub-phantom001_T1w.nii.gz"
    images = []
    for name, superres in (("network", weights), ("interpolated", None)):
        (tmp_path / name).mkdir()
        prepare(scan, tmp_path / name, resolution=1.0, superres=superres)
        images.append(np.asarray(nib.load(tmp_path / name / "T1w.nii.gz").dataobj))
    assert Prepared.read(tmp_path / "network").super_resolution == read_card(weights, HelperCard).sha256
    assert Prepared.read(tmp_path / "interpolated").super_resolution is None
    correlation = np.corrcoef(*(image.ravel() for image in images))[0, 1]
    assert 0.98 < correlation < 1  # an untrained network interpolates from voxels twice as long, in place
    prepare(scan, tmp_path, resolution=4.0, superres=weights)  # 3 mm have nothing to gain on a grid of 4 mm
    assert Prepared.read(tmp_path).super_resolution is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--registration", "network"], "expected a library, whose cases are registered"),
        (["--icv", "network", "--resolution", "4.0"], "none holds no weights of the icv network"),
        (["--method", "atlas", "--synthesise-t2w"], "expected the method networks"),
    ],
)
def test_helpers_that_cannot_help_are_refused_before_anything_runs(
    phantoms: Path, weights: Path, helpers: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    given = ["--auxiliary-weights", tmp_path / "none" if "--icv" in options else helpers]
    library = ["--library", tmp_path] if "atlas" in options else ["--weights", weights]
    result = cerebatch("run", phantoms, tmp_path / "out", "participant", *options, *given, *library)
    assert result.returncode == 2
    assert words in result.stderr


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
