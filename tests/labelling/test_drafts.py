"""Libraries from real scans: first labels, corrections by hand, and what becomes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.labelling.drafts import first_labels
from cerebatch.labels import LABELS
from cerebatch.library.case import LabelledCase
from cerebatch.library.store import open_library
from cerebatch.library.verify import verify
from cerebatch.simulation.phantom import template_case
from cerebatch.spatial.space import cerebellum_box, resample
from cerebatch.spatial.template import t1w

CODE = {label.name: label.index for label in LABELS}


def test_a_method_of_twice_the_voxel_size_labels_eight_interleaved_scans() -> None:
    image = np.random.default_rng(0).random((8, 10, 12)).astype(np.float32)
    seen = []

    def label(scan: np.ndarray, other: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        seen.append(scan.shape)
        assert other is None
        dseg = (scan > 0.5).astype(np.uint8)
        return dseg, 2 * dseg

    apart, together = first_labels(image, None, 0.5, 1.0, label)
    assert seen == [(4, 5, 6)] * 8
    assert np.array_equal(apart, image > 0.5)
    assert np.array_equal(together, 2 * apart)


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
) -> Path:
    """Two cases at 4 mm: the template with the phantom's labels."""
    dseg, box = template_case(4.0)
    image = 300 * np.stack([resample(*t1w(2), box, np.eye(4), order=1)] * 2)
    cases = [
        replace(make_case(name, seed), dseg=dseg, lobules=dseg, image=image) for seed, name in ((1, "a"), (2, "b"))
    ]
    return write_library(tmp_path_factory.mktemp("drafts") / "LIB.zarr", cases)


@pytest.fixture(scope="module")
def drafts(phantoms: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one phantom; another person's scan is broken."""
    scans = tmp_path_factory.mktemp("scans") / "bids"
    shutil.copytree(phantoms, scans, ignore=shutil.ignore_patterns("derivatives"))
    broken = scans / "sub-broken/anat/sub-broken_T1w.nii.gz"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"nothing")
    folder = tmp_path_factory.mktemp("drafts") / "drafts"
    chosen = ["--participant-label", next(scans.glob("sub-phantom*")).name, "--participant-label", "broken"]
    command = ["library", "label", str(scans), str(library), str(folder), "--resolution", "4.0", *chosen]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "sub-broken: not done: " in result.output
    again = CliRunner().invoke(app, command)
    assert again.output.count("there already") == 1
    return folder


def test_a_draft_tells_what_was_done(drafts: Path, library: Path) -> None:
    (folder,) = (path.parent for path in drafts.glob("*/history.json"))
    told = json.loads((folder / "history.json").read_text())
    assert told["history"][0] == f"labelled by the atlas of library {open_library(library).digest[:12]}"
    assert told["history"][1].startswith("corrected by T1w")
    dseg = np.asarray(nib.load(folder / "dseg.nii.gz").dataobj)
    assert dseg.shape == cerebellum_box(4.0).shape
    assert len(np.unique(dseg)) > 10


def test_hand_corrections_are_read_back_with_the_history(drafts: Path, tmp_path: Path) -> None:
    copy = tmp_path / "drafts"
    shutil.copytree(drafts, copy)
    (first,) = (path.parent for path in copy.glob("*/history.json"))
    second = copy / "sub-zz"
    shutil.copytree(first, second)
    image = nib.load(first / "dseg.nii.gz")
    dseg = np.asarray(image.dataobj).copy()
    grey = np.argwhere(dseg == CODE["Left Crus I"])[:3]
    dseg[tuple(grey[:2].T)] = CODE["Left white matter"]
    dseg[tuple(grey[2])] = 0
    nib.save(nib.Nifti1Image(dseg, image.affine, image.header), first / "dseg.nii.gz")
    command = ["library", "import", str(copy), str(tmp_path / "OWN.zarr"), "--licence", "CC0"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert f"{first.name}: 3 voxels corrected by hand" in result.output
    assert f"{second.name}: 0 voxels corrected by hand" in result.output
    own = open_library(tmp_path / "OWN.zarr")
    assert own.names == (first.name, f"{first.name}-mirrored", second.name, f"{second.name}-mirrored")
    assert own.rendered == (False,) * 4
    assert np.array_equal(own.dseg(0), dseg)
    parents = own.lobules(0)
    assert (parents[tuple(grey[:2].T)] == CODE["Left Crus I"]).all()
    assert parents[tuple(grey[2])] == 0
    assert np.array_equal(own.dseg(1)[::-1] > 0, dseg > 0)
    assert verify(tmp_path / "OWN.zarr") == []


def test_labels_on_another_grid_are_refused_by_name(drafts: Path, tmp_path: Path) -> None:
    copy = tmp_path / "drafts"
    shutil.copytree(drafts, copy)
    path = next(copy.glob("*/dseg.nii.gz"))
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[1:], image.affine, image.header), path)
    result = CliRunner().invoke(app, ["library", "import", str(copy), str(tmp_path / "OWN.zarr"), "--licence", "CC0"])
    assert result.exit_code != 0
    assert "Save the labels on the image's grid" in str(result.exception)
    assert not (tmp_path / "OWN.zarr").exists()


def test_a_folder_without_drafts_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["library", "import", str(tmp_path), str(tmp_path / "OWN.zarr"), "--licence", "x"])
    assert "expected drafts of `cerebatch library label`" in str(result.exception)
