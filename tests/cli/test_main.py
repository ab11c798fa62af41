from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.labels import LABELS, STRUCTURES

pytestmark = pytest.mark.slow

TRIAL = ("--resolution", "4.0", "--no-pages")


def cerebatch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cerebatch")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of everything a user keeps: no records, no logs."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.glob("sub-*/**/*"))
        if path.is_file()
    }


BROKEN = {
    "cut": "truncated",
    "empty": "0 bytes",
    "text": "damaged",
    "nan": "1 NaN or infinite voxels",
    "flat": "the same value 7 in every voxel",
    "series": "a series",
    "formless": "neither sform nor qform",
    "mirrored": "one of them mirrored",
    "slab": "too small for a cerebellum",
    "thick": "voxels of 4.00 x 3.00 x 3.00 mm",
}
"""Participants that no run can do -> what the message must say was found."""


@pytest.fixture(scope="module")
def dataset(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms, and the first of them broken in ten ways."""
    folder = tmp_path_factory.mktemp("dataset") / "bids"
    shutil.copytree(phantoms, folder)
    source = folder / "sub-phantom001/anat/sub-phantom001_T1w.nii.gz"
    image, content = nib.load(source), source.read_bytes()
    voxels = np.asanyarray(image.dataobj).astype(np.float32)
    with_nan = voxels.copy()
    with_nan[3, 4, 5] = np.nan
    made = {
        "nan": nib.Nifti1Image(with_nan, image.affine),
        "flat": nib.Nifti1Image(np.full_like(voxels, 7), image.affine),
        "series": nib.Nifti1Image(np.stack([voxels, voxels], axis=3), image.affine),
        "formless": nib.Nifti1Image(voxels, None),
        "mirrored": nib.Nifti1Image(voxels, image.affine),
        "slab": nib.Nifti1Image(voxels[:, :, :10], image.affine),
        "thick": nib.Nifti1Image(voxels, np.diag([4.0, 3.0, 3.0, 1.0])),
    }
    made["mirrored"].set_qform(image.affine @ np.diag([-1.0, 1.0, 1.0, 1.0]), 1)
    made["mirrored"].set_sform(image.affine, 1)
    for name in BROKEN:
        path = folder / f"sub-{name}/anat/sub-{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        if name in made:
            nib.save(made[name], path)
        else:
            path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"\x1f\x8bno image"}[name])
    return folder


@pytest.fixture(scope="module")
def cut_below(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom whose scan ends in the middle of the cerebellum."""
    folder = tmp_path_factory.mktemp("cut") / "bids"
    path = folder / "sub-low/anat/sub-low_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    image = nib.as_closest_canonical(nib.load(phantoms / "sub-phantom001/anat/sub-phantom001_T1w.nii.gz"))
    truth = phantoms / "derivatives/phantom-truth/sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.nii.gz"
    labelled = np.argwhere(np.asanyarray(nib.as_closest_canonical(nib.load(truth)).dataobj) > 0)
    nib.save(image.slicer[:, :, int(np.median(labelled[:, 2])) :], path)
    return folder


@pytest.fixture(scope="module")
def finished(dataset: Path, labelled_case: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Output folder and standard output of a run over the dataset."""
    out = tmp_path_factory.mktemp("out") / "derivatives"
    result = cerebatch("run", dataset, out, "participant", "--labelled-case", labelled_case, *TRIAL)
    assert result.returncode == 1, result.stdout + result.stderr
    return out, result.stdout


def test_broken_scans_are_told_by_name_and_stop_nobody_else(finished: tuple[Path, str]) -> None:
    out, told = finished
    assert f"2 done, 0 done before, {len(BROKEN)} failed, 0 left out" in told
    assert "Traceback" not in told
    for name, found in BROKEN.items():
        (line,) = (line for line in told.splitlines() if line.startswith(f"failed: sub-{name} in prepare: "))
        assert f"sub-{name}_T1w.nii.gz" in line
        assert found in line
    assert {p.name for p in out.glob("sub-*")} == {"sub-phantom001", "sub-phantom002"}


def test_outputs_are_named_by_bids_derivatives(finished: tuple[Path, str]) -> None:
    out, _ = finished
    names = {
        path.name.removeprefix("sub-phantom001_") for path in (out / "sub-phantom001").rglob("*") if path.is_file()
    }
    on_mni = "space-MNI152NLin2009aSym_"
    assert names == {
        *(f"seg-lobules_dseg.{kind}" for kind in ("nii.gz", "json", "tsv", "png")),
        *(f"{on_mni}seg-lobules_res-4_dseg.{kind}" for kind in ("nii.gz", "json", "tsv")),
        *(f"{on_mni}res-4_desc-preproc_T1w.{kind}" for kind in ("nii.gz", "json")),
        *(f"seg-lobules_{table}.{kind}" for table in ("volumes", "quality") for kind in ("tsv", "json")),
        "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.txt",
        "desc-registration_T1w.png",
    }
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "cerebatch"


def test_the_native_map_lies_on_the_scan_and_left_is_left(finished: tuple[Path, str], dataset: Path) -> None:
    out, _ = finished
    for name in ("sub-phantom001", "sub-phantom002"):
        scan = nib.load(dataset / f"{name}/anat/{name}_T1w.nii.gz")
        dseg = nib.load(out / f"{name}/anat/{name}_seg-lobules_dseg.nii.gz")
        truth = nib.load(dataset / f"derivatives/phantom-truth/{name}/anat/{name}_seg-lobules_dseg.nii.gz")
        assert dseg.shape == scan.shape
        np.testing.assert_allclose(dseg.affine, scan.affine, atol=1e-4)
        found, true = np.asanyarray(dseg.dataobj), np.asanyarray(truth.dataobj)
        overlap = 2 * np.sum((found > 0) & (true > 0)) / (np.sum(found > 0) + np.sum(true > 0))
        assert overlap > 0.75
        wrong_side = np.sum((found > 0) & (true > 0) & ((found <= 13) != (true <= 13)))
        assert wrong_side < 0.05 * np.sum(found > 0)


def test_the_table_of_volumes_adds_up_and_agrees_with_the_map(finished: tuple[Path, str]) -> None:
    out, _ = finished
    anat = out / "sub-phantom001/anat"
    rows = list(csv.DictReader((anat / "sub-phantom001_seg-lobules_volumes.tsv").open(), delimiter="\t"))
    whole = next(r for r in rows if r["structure"] == "cerebellum" and r["side"] == "both")
    image = nib.load(anat / "sub-phantom001_seg-lobules_dseg.nii.gz")
    counted = np.sum(np.asanyarray(image.dataobj) > 0) * np.abs(np.linalg.det(image.affine[:3, :3])) / 1000
    assert float(whole["native_count_cm3"]) == pytest.approx(counted, abs=1e-3)
    assert float(whole["volume_cm3"]) == pytest.approx(counted, rel=0.1)
    structures = {label.structure for label in LABELS}
    parts = sum(float(r["volume_cm3"]) for r in rows if r["structure"] in structures and r["side"] == "both")
    assert parts == pytest.approx(float(whole["volume_cm3"]), abs=1e-2)
    # Folia go from white matter to lobules (the phantom has a core alone); the whole stays.
    assert float(whole["with_folia_cm3"]) == pytest.approx(float(whole["volume_cm3"]), abs=1e-3)
    white = next(r for r in rows if r["structure"] == STRUCTURES[-1] and r["side"] == "both")
    assert 0 < float(white["with_folia_cm3"]) <= float(white["volume_cm3"])


def test_a_sidecar_tells_method_settings_versions_and_warnings(finished: tuple[Path, str]) -> None:
    out, _ = finished
    sidecar = json.loads((out / "sub-phantom001/anat/sub-phantom001_seg-lobules_dseg.json").read_text())
    assert sidecar["Method"] == "single case"
    assert sidecar["Trial"] is True
    assert sidecar["Settings"] == {"resolution": 4.0, "seed": 1}
    assert sidecar["Software"]["cerebatch"]
    assert any("coarse" in warning for warning in sidecar["Warnings"])
    assert sidecar["ICV"]["VolumeCM3"] > 1000


def test_quality_is_rated_and_its_flags_have_reasons(finished: tuple[Path, str]) -> None:
    out, _ = finished
    told = json.loads((out / "sub-phantom001/anat/sub-phantom001_seg-lobules_quality.json").read_text())
    assert told["Rating"] in ("A", "B")
    rows = csv.DictReader((out / "sub-phantom001/anat/sub-phantom001_seg-lobules_quality.tsv").open(), delimiter="\t")
    values = {(row["metric"], row["structure"], row["side"]): row["value"] for row in rows}
    for flag in told["Flags"]:
        value = float(values[flag["Metric"], flag["Structure"], flag["Side"]])
        assert value < flag["Threshold"] if flag["Comparison"] == "<" else value > flag["Threshold"]
        assert flag["Message"]


def test_a_run_writes_pages_and_the_group_is_merged_with_links_to_them(
    finished: tuple[Path, str], dataset: Path, labelled_case: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished[0], tmp_path / "out", copy_function=shutil.copy2)
    again = cerebatch(
        "run", dataset, out, "participant", "--labelled-case", labelled_case, "--resolution", "4.0", "--no-pdf",
        "--csv-layout", "ceres", "--participant-label", "phantom001",
    )  # fmt: skip
    assert "Pages: 1 written" in again.stdout, again.stdout + again.stderr
    assert (out / "reports/sub-phantom001_volumes.csv").read_text().startswith("Patient ID;Sex;Age;ICV cm3;")
    merged = cerebatch("run", dataset, out, "group", "--no-pdf")
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert f"2 cases merged, {len(BROKEN)} left out" in merged.stdout
    assert '"reports/sub-phantom001.html"' in (out / "cohort.html").read_text()
    assert "these people are simulated" in merged.stdout
    failures = list(csv.DictReader((out / "failures.tsv").open(), delimiter="\t"))
    assert {row["participant_id"] for row in failures} == {f"sub-{name}" for name in BROKEN}


def test_the_group_of_nothing_ends_with_status_2_and_says_what_to_run_first(dataset: Path, tmp_path: Path) -> None:
    result = cerebatch("run", dataset, tmp_path, "group")
    assert result.returncode == 2
    assert "cerebatch run BIDS_DIR OUT_DIR participant" in result.stderr


@pytest.mark.parametrize("program, name", [("fsleyes", "cerebatch_fsleyes.lut"), ("itksnap", "cerebatch_itksnap.txt")])
def test_labels_writes_a_table_for_a_viewer(tmp_path: Path, program: str, name: str) -> None:
    result = cerebatch("labels", "--lut", program, tmp_path)
    assert result.stdout.strip() == str(tmp_path / name)
    assert "Left Crus I" in (tmp_path / name).read_text().replace("lobule ", "")


def test_the_official_validator_accepts_the_derivatives(finished: tuple[Path, str], bids_validator: str) -> None:
    command = [bids_validator, "--json", str(finished[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [(issue["code"], issue.get("location")) for issue in issues if issue["severity"] == "error"] == []


def test_a_field_of_view_that_cuts_the_cerebellum_is_warned_of(
    cut_below: Path, labelled_case: Path, tmp_path: Path
) -> None:
    result = cerebatch("run", cut_below, tmp_path, "participant", "--labelled-case", labelled_case, *TRIAL)
    assert result.returncode == 0, result.stdout + result.stderr
    sidecar = json.loads((tmp_path / "sub-low/anat/sub-low_seg-lobules_dseg.json").read_text())
    (warning,) = (text for text in sidecar["Warnings"] if "cuts the cerebellum" in text)
    share = int(warning.split("%")[0].split()[-1])
    assert 30 < share < 70


def test_a_second_call_does_only_what_is_missing(
    finished: tuple[Path, str], dataset: Path, labelled_case: Path
) -> None:
    out, _ = finished
    before = {p: p.stat().st_mtime_ns for p in out.glob("sub-*/**/*") if p.is_file()}
    lost = out / "sub-phantom002/anat/sub-phantom002_seg-lobules_volumes.tsv"
    content = lost.read_bytes()
    lost.unlink()
    again = cerebatch("run", dataset, out, "participant", "--labelled-case", labelled_case, *TRIAL)
    assert f"1 done, 1 done before, {len(BROKEN)} failed" in again.stdout
    assert lost.read_bytes() == content
    untouched = {p: t for p, t in before.items() if "phantom001" in p.name}
    assert untouched == {p: p.stat().st_mtime_ns for p in untouched}


def test_one_process_or_many_and_another_time_give_the_same_bytes(
    finished: tuple[Path, str], dataset: Path, labelled_case: Path, tmp_path: Path
) -> None:
    out, _ = finished
    result = cerebatch(
        "run", dataset, tmp_path, "participant", "--labelled-case", labelled_case, "--profile", "serial",
        "--participant-label", "phantom001", *TRIAL,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    expected = {name: found for name, found in contents(out).items() if name.startswith("sub-phantom001")}
    assert contents(tmp_path) == expected


def test_intermediate_files_go_when_a_case_is_done(finished: tuple[Path, str]) -> None:
    out, _ = finished
    assert not list((out / "work").glob("sub-phantom*"))
    assert not list(out.rglob("*.tmp"))


def test_a_dry_run_tells_the_stages_and_writes_nothing(dataset: Path, labelled_case: Path, tmp_path: Path) -> None:
    result = cerebatch(
        "run", dataset, tmp_path / "out", "participant", "--labelled-case", labelled_case, "--dry-run", *TRIAL
    )
    assert result.returncode == 0
    assert "sub-phantom001: prepare, segment, measure" in result.stdout
    assert not (tmp_path / "out").exists()


def test_what_cannot_run_at_all_ends_with_status_2_and_one_message(
    dataset: Path, labelled_case: Path, tmp_path: Path
) -> None:
    for arguments, word in (
        (("run", tmp_path / "nothing", tmp_path / "out", "participant", "--labelled-case", labelled_case), "nothing"),
        (("run", dataset, tmp_path / "out", "participant", "--resolution", "4.0"), "--labelled-case"),
        (("run", dataset, tmp_path / "out", "participant", "--labelled-case", dataset / "README"), "README"),
        (
            ("run", dataset, tmp_path / "out", "participant", "--labelled-case", labelled_case, "--profile", "slrum"),
            "slrum",
        ),
        (("volumes", dataset / "README"), "README"),
        (("simulate", dataset), "empty folder"),
    ):
        result = cerebatch(*arguments)
        assert result.returncode == 2, arguments
        assert word in result.stderr
        assert "Traceback" not in result.stderr


def test_volumes_counts_an_existing_map_again(finished: tuple[Path, str]) -> None:
    out, _ = finished
    anat = out / "sub-phantom001/anat"
    result = cerebatch("volumes", anat / "sub-phantom001_seg-lobules_dseg.nii.gz")
    again = list(csv.DictReader(result.stdout.splitlines(), delimiter="\t"))
    table = list(csv.DictReader((anat / "sub-phantom001_seg-lobules_volumes.tsv").open(), delimiter="\t"))
    assert [r["native_count_cm3"] for r in again] == [r["native_count_cm3"] for r in table]


def test_a_run_that_was_killed_goes_on_where_it_was(
    finished: tuple[Path, str], dataset: Path, labelled_case: Path, tmp_path: Path
) -> None:
    out, _ = finished
    arguments = (
        "run", str(dataset), str(tmp_path), "participant", "--labelled-case", str(labelled_case), "--profile", "serial",
        "--participant-label", "phantom002", *TRIAL,
    )  # fmt: skip
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("cerebatch")), *arguments], stdout=subprocess.PIPE, text=True, cwd="/",
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "prepare finished" in line:
            break
    process.kill()
    process.wait()
    result = cerebatch(*arguments)
    assert "prepare started" not in result.stdout
    assert "1 done" in result.stdout
    expected = {name: found for name, found in contents(out).items() if name.startswith("sub-phantom002")}
    assert contents(tmp_path) == expected
