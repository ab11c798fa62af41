"""One scan, from Python and from the command line, against what `cerebatch run` makes of it; random small networks."""

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

import cerebatch
from cerebatch.batch.reporting.completed import finished_cases
from cerebatch.errors import DatasetError, StageError
from cerebatch.library.case import LabelledCase

pytestmark = pytest.mark.slow


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    line = [sys.executable, "-P", "-c", "from cerebatch.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def called(scan: Path, weights: Path) -> cerebatch.Segmentation:
    """A phantom, by the call."""
    return cerebatch.segment(scan, weights=weights, resolution=4.0)


@pytest.fixture(scope="module")
def ran(phantoms: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same phantom, by the runner; folder with its anat."""
    out = tmp_path_factory.mktemp("run") / "out"
    done = command(
        "run", phantoms, out, "participant", "--weights", weights, "--resolution", "4.0", "--profile", "serial",
        "--participant-label", "phantom001", "--probseg", "--no-pages",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "sub-phantom001"


def test_the_call_makes_the_files_that_a_run_makes(called: cerebatch.Segmentation, ran: Path, tmp_path: Path) -> None:
    called.save(tmp_path)
    anat = tmp_path / "sub-phantom001/anat"
    assert sorted(path.name for path in anat.iterdir()) == sorted(path.name for path in (ran / "anat").iterdir())
    for path in anat.iterdir():
        if path.suffix in (".tsv", ".txt"):
            assert path.read_bytes() == (ran / "anat" / path.name).read_bytes(), path.name
    ours, theirs = (folder / "sub-phantom001_seg-lobules_dseg.nii.gz" for folder in (anat, ran / "anat"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert (tmp_path / "reports/sub-phantom001.html").exists()
    assert list(finished_cases(tmp_path).folders) == ["sub-phantom001"]  # as the group level asks
    with pytest.raises(DatasetError, match="expected no results of sub-phantom001 yet"):
        called.save(tmp_path)


def test_labels_lie_on_the_scans_grid_and_their_volumes_are_in_the_table(
    called: cerebatch.Segmentation, scan: Path
) -> None:
    assert called.labels.shape == nib.load(scan).shape
    assert np.allclose(called.labels.affine, nib.load(scan).affine)
    counted = cerebatch.volumes_of(called.labels)
    assert np.allclose(counted.volume_cm3, called.volumes.native_count_cm3, atol=1e-4)
    assert called.labels_mni.shape == called.probabilities.shape[:3]
    assert called.probabilities.shape[3] == 1 + len(cerebatch.LABELS)


def test_quality_and_confidence_are_tables_of_numbers(called: cerebatch.Segmentation) -> None:
    assert called.rating in ("A", "B", "C")
    assert all(isinstance(flag, str) for flag in called.flags)
    assert called.quality.value.dtype == float
    assert len(called.confidence) == len(cerebatch.LABELS)
    assert called.confidence.probability.between(0, 1).any()
    assert 500 < called.icv_cm3 < 3000
    assert "sub-phantom001" in repr(called)


def test_outputs_name_the_file_and_the_method(called: cerebatch.Segmentation) -> None:
    assert called.information["Sources"] == ["sub-phantom001_T1w.nii.gz"]
    assert called.information["Method"] == "networks"


def test_it_works_where_ants_and_torch_ran_before_and_on_their_images(scan: Path, weights: Path, ran: Path) -> None:
    script = f"""
import ants, torch
image = ants.image_read({str(scan)!r})
ants.smooth_image(image, 1.0)  # ITK has fixed its number of threads
torch.ones(9).sum()
import numpy as np, cerebatch
found = cerebatch.segment(image, weights={str(weights)!r}, resolution=4.0, probabilities=False, name="sub-phantom001")
assert found.probabilities is None
np.save({str(weights.parent / "labels.npy")!r}, np.asarray(found.labels.dataobj))
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ITK_")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    known = np.asarray(nib.load(ran / "anat/sub-phantom001_seg-lobules_dseg.nii.gz").dataobj)
    assert np.array_equal(np.load(weights.parent / "labels.npy"), known)


def test_several_scans_share_a_process_and_a_bad_one_stops_no_other(
    phantoms: Path, weights: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"not an image")
    scans = [bad, *sorted(phantoms.glob("sub-*/anat/*_T1w.nii.gz"))]
    out = tmp_path / "out"
    given = [*scans, "--out", out, "--weights", weights, "--resolution", "4.0", "--no-pdf"]
    done = command("segment", *given)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"cerebatch: {bad}: expected a NIfTI" in done.stderr
    assert "2 of 3 scans done" in done.stdout
    assert "sub-phantom001: measure (3 of 3)" in done.stdout
    assert len(list(out.glob("reports/sub-*.html"))) == 2
    assert not (out / "work").exists()
    again = command("segment", *given[1:])
    assert again.returncode == 0, again.stdout + again.stderr
    assert "prepare" not in again.stdout  # done already
    renamed = tmp_path / "sub-phantom001_T1w.nii.gz"
    renamed.write_bytes(scans[2].read_bytes())
    other = command("segment", renamed, *given[3:])
    assert other.returncode == 1
    assert "expected no results of another scan under the name sub-phantom001" in other.stderr


def test_an_atlas_is_made_where_a_library_is_given(
    scan: Path,
    weights: Path,
    tmp_path: Path,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
) -> None:
    library = write_library(tmp_path / "LIB.zarr", [make_case("a", 1), make_case("b", 2)])
    told: list[str] = []
    found = cerebatch.segment(scan, library=library, weights=weights, resolution=4.0, tell=told.append)
    assert told[0].startswith(f"cerebatch: library: {library} (digest ")
    assert "better in one of three" in told[0]
    assert [line.removeprefix("cerebatch: ") for line in told[1:]] == ["prepare", "atlas", "segment", "measure"]
    assert found.information["Library"]["Name"] == "LIB.zarr"
    assert found.information["AtlasChannel"] is True


def test_a_library_that_is_found_is_used_told_and_kept(
    scan: Path,
    weights: Path,
    tmp_path: Path,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = write_library(tmp_path / "LIB.zarr", [make_case("a", 1), make_case("b", 2)])
    monkeypatch.setenv("CEREBATCH_LIBRARY", str(library))
    given = (scan, "--weights", weights, "--resolution", "4.0", "--no-pages", "--out")
    without = command("segment", *given, tmp_path / "without", "--no-library")
    assert without.returncode == 0, without.stdout + without.stderr
    assert without.stdout.startswith("library: none")
    found = command("segment", *given, tmp_path / "with")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.startswith(f"library: {library} (digest ")
    for folder, channel in (("with", True), ("without", False)):
        sidecar = tmp_path / folder / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.json"
        assert json.loads(sidecar.read_text())["AtlasChannel"] is channel
    again = command("segment", *given, tmp_path / "without")  # begun without, so it goes on without
    assert again.stdout.startswith("library: none")
    monkeypatch.delenv("CEREBATCH_LIBRARY")
    kept = command("segment", *given, tmp_path / "with")
    assert "as this folder of results was begun" in kept.stdout
    assert "prepare" not in kept.stdout


def test_what_is_no_head_is_refused_by_the_stage_that_sees_it(weights: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(1, 100, (64, 64, 64)).astype(np.float32)
    with pytest.raises(StageError, match=r"brain|template|register"):
        cerebatch.segment(nib.Nifti1Image(noise, np.diag([3.0, 3.0, 3.0, 1.0])), weights=weights, resolution=4.0)


@pytest.mark.parametrize("option", ["--t2w", "--name", "--age"])
def test_what_belongs_to_one_scan_is_refused_with_two(scan: Path, tmp_path: Path, option: str) -> None:
    done = command("segment", scan, scan, option, "9", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert f"{option}: expected one T1w with it, found 2" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_t2w_is_used(tmp_path: Path, phantoms: Path, weights: Path, scan: Path) -> None:
    turned = nib.load(scan)
    t2w = tmp_path / "t2.nii"
    nib.save(nib.Nifti1Image(turned.get_fdata().max() - turned.get_fdata(), turned.affine), t2w)
    found = cerebatch.segment(scan, t2w, weights=weights, resolution=4.0)
    assert found.information["Sources"] == ["sub-phantom001_T1w.nii.gz", "t2.nii"]
    assert "T2w" in found.information["TissueMeans"]


def test_the_page_has_age_and_sex(scan: Path, weights: Path, tmp_path: Path) -> None:
    done = command(
        "segment", scan, "--out", tmp_path, "--weights", weights, "--resolution", "4.0", "--no-pdf", "--age", "63",
        "--sex", "F", "--name", "anna",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reports/sub-anna.html").read_text()
    assert "63" in page
    assert "female" in page
    table = pd.read_csv(tmp_path / "sub-anna/anat/sub-anna_seg-lobules_volumes.tsv", sep="\t")
    assert len(table) == 54
    sidecar = json.loads((tmp_path / "sub-anna/anat/sub-anna_seg-lobules_dseg.json").read_text())
    assert sidecar["Trial"] is True
