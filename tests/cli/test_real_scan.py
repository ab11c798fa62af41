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


def test_poor_scans_are_done_with_a_warning_or_refused_by_name(data: Path, labelled_case: Path, tmp_path: Path) -> None:
    bids = tmp_path / "bids"
    for name, contrast, source in (
        ("sub-coarse", "T1w", "two-millimetre_T1w"),
        ("sub-slices", "T1w", "long_p01_study1_T1W"),
        ("sub-slices", "T2w", "long_p01_study1_T2W"),
    ):
        (bids / name / "anat").mkdir(parents=True, exist_ok=True)
        shutil.copy(data / f"scans-poor/{source}.nii.gz", bids / f"{name}/anat/{name}_{contrast}.nii.gz")
    out = tmp_path / "out"
    result = cerebatch("run", bids, out, "participant", "--labelled-case", labelled_case, "--resolution", "4.0")
    assert result.returncode == 1
    assert "1 done, 0 done before, 1 failed" in result.stdout
    # Its T2w has slices of 4 mm.
    (refusal,) = (line for line in result.stdout.splitlines() if line.startswith("failed: sub-slices"))
    assert "sub-slices_T2w.nii.gz" in refusal
    assert "at most 3.5 mm" in refusal
    sidecar = json.loads((out / "sub-coarse/anat/sub-coarse_seg-lobules_dseg.json").read_text())
    assert any("2.00 x 2.00 x 2.00 mm are coarse" in warning for warning in sidecar["Warnings"])
