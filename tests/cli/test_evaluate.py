"""`cerebatch evaluate` as a user calls it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cerebatch.cli.main import app
from cerebatch.errors import DatasetError, LabelMapError, SettingsError
from cerebatch.simulation.phantom.cerebellum import template_case


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `truth`, `good` and `bad` with three cases each; in `bad` everything lies a voxel further."""
    folder = tmp_path_factory.mktemp("maps")
    dseg, grid = template_case(2.0)
    for number in range(3):
        truth = np.roll(dseg, number, axis=2)
        for method, made in (("truth", truth), ("good", truth), ("bad", np.roll(truth, 1, axis=0))):
            path = folder / method / f"sub-{number}" / "anat" / f"sub-{number}_seg-lobules_dseg.nii.gz"
            path.parent.mkdir(parents=True)
            nib.save(nib.Nifti1Image(made, grid.affine), path)
    return folder


def test_a_row_for_every_case_and_structure_and_a_summary(maps: Path, tmp_path: Path) -> None:
    result = evaluate(maps / "good", maps / "truth", "--out", tmp_path / "scores.tsv")
    assert result.exit_code == 0, result.output
    table = rows(tmp_path / "scores.tsv")
    assert len(table) == 3 * (26 + 12 + 3 + 2)
    assert {row["dice"] for row in table} == {"1"}
    assert {row["case"] for row in table} == {"sub-0", "sub-1", "sub-2"}
    (mean,) = (line for line in result.output.splitlines() if line.startswith("mean of 24 structures"))
    assert mean.split()[4:] == ["1.000", "(0.000)", "0.00", "(0.00)", "0.000"]
    assert "n/a" in {row["predicted_cm3"] for row in table if row["kind"] == "mean"}


def test_a_second_method_is_tested_against_the_first(maps: Path, tmp_path: Path) -> None:
    result = evaluate(maps / "good", maps / "truth", "--against", maps / "bad", "--out", tmp_path / "scores.tsv")
    assert result.exit_code == 0, result.output
    assert {row["method"] for row in rows(tmp_path / "scores.tsv")} == {"good", "bad"}
    tests = {row["region"]: row for row in rows(tmp_path / "scores_wilcoxon.tsv")}
    whole = tests["cerebellum"]
    assert (whole["method"], whole["against"], whole["cases"]) == ("good", "bad", "3")
    assert float(whole["one"]) == 1 > float(whole["other"]) > 0.8
    # Three differences of one sign: 2 / 2**3.
    assert float(whole["p"]) == pytest.approx(0.25)


def test_two_files_are_compared(maps: Path) -> None:
    name = "sub-1/anat/sub-1_seg-lobules_dseg.nii.gz"
    result = evaluate(maps / "bad" / name, maps / "truth" / name)
    assert result.exit_code == 0, result.output
    assert "1 case:" in result.output


def test_cases_that_cannot_be_scored_are_named_and_the_others_are_scored(maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps / "good", tmp_path / "mine")
    (tmp_path / "mine/sub-0/anat/sub-0_seg-lobules_dseg.nii.gz").unlink()
    broken = tmp_path / "mine/sub-2/anat/sub-2_seg-lobules_dseg.nii.gz"
    broken.write_bytes(b"no map")
    result = evaluate(tmp_path / "mine", maps / "truth", "--out", tmp_path / "scores.tsv")
    assert result.exit_code == 1
    assert {row["case"] for row in rows(tmp_path / "scores.tsv")} == {"sub-1"}
    lines = [line for line in result.output.splitlines() if line.startswith("left out:")]
    assert len(lines) == 2
    assert "sub-0" in lines[0]
    assert f"{broken}: expected a label map" in lines[1]


def test_cases_of_one_method_alone_are_in_no_test_and_named(maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps / "bad", tmp_path / "other")
    shutil.rmtree(tmp_path / "other/sub-0")
    result = evaluate(maps / "good", maps / "truth", "--against", tmp_path / "other", "--out", tmp_path / "scores.tsv")
    assert result.exit_code == 1
    assert {row["cases"] for row in rows(tmp_path / "scores_wilcoxon.tsv")} == {"2"}
    assert "left out: sub-0: only good has it; it is in no test" in result.output


def test_what_cannot_be_compared_at_all_is_an_error(maps: Path, tmp_path: Path) -> None:
    name = "sub-1/anat/sub-1_seg-lobules_dseg.nii.gz"
    image = nib.load(maps / "good" / name)
    far = image.affine.copy()
    far[0, 3] += 500
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), far), tmp_path / "far_dseg.nii.gz")
    for arguments, kind, words in (
        ((tmp_path / "far_dseg.nii.gz", maps / "truth" / name), LabelMapError, "500 mm apart"),
        ((maps / "nothing", maps / "truth"), DatasetError, "found nothing"),
        ((maps / "good", maps / "truth", "--against", maps / "good"), SettingsError, "a second method"),
        ((maps / "good", maps / "truth", "--out", tmp_path / "scores.csv"), SettingsError, "ends in .tsv"),
        ((maps / "good", maps / "truth", "--space", "MNI152NLin6Asym"), DatasetError, "space-MNI152NLin6Asym"),
    ):
        error = evaluate(*arguments).exception
        assert isinstance(error, kind), error
        assert words in str(error)


def test_methods_of_one_name_are_told_apart_by_their_paths(maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps / "bad", tmp_path / "good")
    result = evaluate(maps / "good", maps / "truth", "--against", tmp_path / "good", "--out", tmp_path / "scores.tsv")
    assert result.exit_code == 0, result.output
    assert {row["method"] for row in rows(tmp_path / "scores.tsv")} == {str(maps / "good"), str(tmp_path / "good")}


@pytest.fixture(scope="module")
def cerebnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ours` with two native maps of a run, and `theirs`: the same in CerebNet's codes, without vermis."""
    folder = tmp_path_factory.mktemp("cerebnet")
    dseg, grid = template_case(2.0)
    table = np.zeros(27, dtype=np.int16)
    # I-II to X of the left; the codes of the right follow by one where there is no vermis between.
    table[1:14] = (601, 601, 601, 603, 605, 608, 611, 614, 617, 620, 623, 626, 7)
    table[14:27] = (602, 602, 602, 604, 607, 610, 613, 616, 619, 622, 625, 628, 46)
    for number in range(2):
        name = f"sub-{number}"
        ours, theirs = folder / "ours" / name / "anat", folder / "theirs"
        for made in (ours, theirs):
            made.mkdir(parents=True, exist_ok=True)
        shifted = np.roll(dseg, number, axis=0)
        nib.save(nib.Nifti1Image(shifted, grid.affine), ours / f"{name}_seg-lobules_dseg.nii.gz")
        # Beside it, as in a run, one in the box: another space, and not to be taken.
        other_space = ours / f"{name}_space-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz"
        nib.save(nib.Nifti1Image(dseg[::-1].copy(), grid.affine), other_space)
        nib.save(nib.Nifti1Image(table[dseg], grid.affine), theirs / f"{name}_desc-cerebnet_dseg.nii.gz")
    return folder


def test_another_tools_map_is_scored_by_its_protocol_with_names_beside_dice(cerebnet: Path, tmp_path: Path) -> None:
    result = evaluate(
        cerebnet / "ours", cerebnet / "theirs", "--protocol", "cerebnet", "--out", tmp_path / "scores.tsv"
    )
    assert result.exit_code == 0, result.output
    table = {(row["case"], row["structure"]): row for row in rows(tmp_path / "scores.tsv")}
    assert len(table) == 2 * (20 + 2 + 5 + 1 + 1)
    same, shifted = table["sub-0", "mean of 20 regions"], table["sub-1", "mean of 20 regions"]
    assert (same["dice"], same["names"]) == ("1", "1")
    assert 0.7 < float(shifted["dice"]) < float(shifted["names"]) < 1
    assert table["sub-0", "vermis VI"]["names"] == table["sub-0", "vermis VI"]["dice"] == "n/a"
    (head, *_) = (line for line in result.output.splitlines() if "Dice" in line)
    assert head.split()[:2] == ["Dice", "names"]
    (mean,) = (line for line in result.output.splitlines() if line.startswith("mean of 20 regions"))
    assert mean.split()[4] == f"{(1 + float(shifted['dice'])) / 2:.3f}"
    assert mean.split()[6] == f"{(1 + float(shifted['names'])) / 2:.3f}"


def test_methods_are_tested_against_each_other_on_another_tools_map(cerebnet: Path, tmp_path: Path) -> None:
    shutil.copytree(cerebnet / "ours", tmp_path / "shifted")
    for path in (tmp_path / "shifted").rglob("sub-*_seg-lobules_dseg.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.roll(np.asarray(image.dataobj), 2, axis=1), image.affine), path)
    result = evaluate(
        cerebnet / "ours", cerebnet / "theirs", "--protocol", "cerebnet", "--against", tmp_path / "shifted",
        "--out", tmp_path / "scores.tsv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    tests = {row["region"]: row for row in rows(tmp_path / "scores_wilcoxon.tsv")}
    assert float(tests["mean of 20 regions"]["one"]) > float(tests["mean of 20 regions"]["other"])


def test_a_protocol_that_is_none_or_of_another_tool_is_an_error(cerebnet: Path) -> None:
    pair = (
        cerebnet / "ours/sub-0/anat/sub-0_seg-lobules_dseg.nii.gz",
        cerebnet / "theirs/sub-0_desc-cerebnet_dseg.nii.gz",
    )
    error = evaluate(*pair, "--protocol", "ceres").exception
    assert isinstance(error, SettingsError)
    error = evaluate(*pair, "--protocol", "manual-outline").exception
    assert isinstance(error, LabelMapError)
    assert "expected codes of the protocol manual-outline" in str(error)
