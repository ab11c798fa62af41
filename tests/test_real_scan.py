"""One real scan with T1w and T2w, all the way at 1 mm; and scans of poor quality."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from cerebatch.labels import LABELS


def cerebatch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cerebatch")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


@pytest.fixture(scope="module")
def anat(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs for the person with T1w and T2w; the labels are those of one placed lobule map."""
    folder = tmp_path_factory.mktemp("real")
    case = folder / "case.nii.gz"
    placed = cerebatch("library", "place", data / "lobules/subject-2_dseg.nii.gz", case, "--atlas", data / "atlas")
    assert placed.returncode == 0, placed.stderr
    (t2w,) = (data / "scans").glob("sub-*/anat/*_T2w.nii.gz")
    label = t2w.parts[-3].removeprefix("sub-")
    result = cerebatch(
        "run", data / "scans", folder / "out", "participant", "--labelled-case", case, "--participant-label", label
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "out" / f"sub-{label}" / "anat"


def voxels(folder: Path, pattern: str) -> NDArray[np.float32]:
    (path,) = folder.glob(pattern)
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


def test_tissues_lie_at_their_targets_in_both_contrasts(anat: Path) -> None:
    dseg = voxels(anat, "*_res-1_dseg.nii.gz")
    core = np.isin(dseg, [label.index for label in LABELS if label.structure == "White matter"])
    t1w, t2w = voxels(anat, "*_desc-preproc_T1w.nii.gz"), voxels(anat, "*_desc-preproc_T2w.nii.gz")
    assert np.median(t1w[core]) == pytest.approx(250, rel=0.15)
    assert np.median(t2w[core]) == pytest.approx(100, rel=0.3)
    # Fluid is dark in the one and bright in the other, so together they are no copies.
    assert np.corrcoef(t1w[dseg > 0], t2w[dseg > 0])[0, 1] < 0


def test_the_labels_cover_brain_and_not_fluid_or_bone(anat: Path) -> None:
    dseg, t1w = voxels(anat, "*_res-1_dseg.nii.gz"), voxels(anat, "*_desc-preproc_T1w.nii.gz")
    assert np.mean(t1w[dseg > 0] > 100) > 0.85


def test_the_volumes_are_those_of_a_cerebellum(anat: Path) -> None:
    (path,) = anat.glob("*_volumes.tsv")
    rows = {(r["structure"], r["side"]): r for r in csv.DictReader(path.open(), delimiter="\t")}
    whole = rows["cerebellum", "both"]
    assert 80 < float(whole["volume_cm3"]) < 180
    assert float(whole["native_count_cm3"]) == pytest.approx(float(whole["volume_cm3"]), rel=0.02)
    assert 5 < float(whole["percent_icv"]) < 14


def test_left_of_the_native_map_is_left_in_the_world(anat: Path) -> None:
    (path,) = (p for p in anat.glob("*_seg-lobules_dseg.nii.gz") if "space" not in p.name)
    image = nib.load(path)
    dseg = np.asanyarray(image.dataobj)
    left, right = (
        nib.affines.apply_affine(image.affine, np.argwhere(side))[:, 0]
        for side in ((dseg > 0) & (dseg <= 13), dseg > 13)
    )
    assert left.mean() < right.mean() - 20


def test_the_sidecar_warns_of_brain_extraction(anat: Path) -> None:
    (path,) = (p for p in anat.glob("*_seg-lobules_dseg.json") if "space" not in p.name)
    sidecar = json.loads(path.read_text())
    assert sidecar["Method"] == "single case"
    assert any("brain-extracted" in warning for warning in sidecar["Warnings"])


@pytest.fixture(scope="module")
def poor(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scans of poor quality as a dataset: two visits with T1w and T2w, and a person at 2 mm."""
    folder = tmp_path_factory.mktemp("poor") / "bids"
    (folder / "sub-coarse/anat").mkdir(parents=True)
    shutil.copy(data / "scans-poor/two-millimetre_T1w.nii.gz", folder / "sub-coarse/anat/sub-coarse_T1w.nii.gz")
    for visit in "12":
        anat = folder / f"sub-slices/ses-{visit}/anat"
        anat.mkdir(parents=True)
        for contrast in ("T1", "T2"):
            source = data / f"scans-poor/long_p01_study{visit}_{contrast}W.nii.gz"
            shutil.copy(source, anat / f"sub-slices_ses-{visit}_{contrast}w.nii.gz")
    return folder


def test_poor_scans_are_done_with_a_warning_or_refused_by_name(poor: Path, labelled_case: Path, tmp_path: Path) -> None:
    result = cerebatch("run", poor, tmp_path, "participant", "--labelled-case", labelled_case, "--resolution", "4.0")
    assert result.returncode == 1
    assert "2 done, 0 done before, 1 failed" in result.stdout
    # The first visit's T2w has slices of 4 mm.
    (refusal,) = (line for line in result.stdout.splitlines() if line.startswith("failed: sub-slices_ses-1"))
    assert "sub-slices_ses-1_T2w.nii.gz" in refusal
    assert "3.5 mm" in refusal
    for name in ("sub-coarse", "sub-slices/ses-2"):
        (sidecar,) = (tmp_path / name / "anat").glob("*[!1]_seg-lobules_dseg.json")
        assert any("mm" in warning for warning in json.loads(sidecar.read_text())["Warnings"])
