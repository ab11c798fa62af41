"""Which predicted map is compared with which true one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebatch.errors import DatasetError
from cerebatch.evaluation.matching import Choice, Pair, match

MNI = "space-MNI152NLin2009aSym_res-1"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("predicted", "truth"):
        (tmp_path / name).mkdir()
    return tmp_path / "predicted", tmp_path / "truth"


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(pairs: list[Pair]) -> list[tuple[str, str, str]]:
    return [(pair.case, pair.predicted.name, pair.truth.name) for pair in pairs]


def test_two_files_are_a_pair_whatever_their_names(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders[0] / "mine.nii.gz", folders[1] / "sub-a_ses-2_seg-lobules_dseg.nii.gz"
    predicted.touch()
    truth.touch()
    assert match(predicted, truth) == ([Pair("sub-a_ses-2", predicted, truth)], [])


def test_maps_are_matched_by_participant_and_session_in_natural_order(folders: tuple[Path, Path]) -> None:
    put(folders[0], "sub-10/anat/sub-10_seg-lobules_dseg.nii.gz", "sub-2/ses-b/sub-2_ses-b_seg-x_dseg.nii.gz")
    put(folders[1], "sub-10_dseg.nii.gz", "sub-2_ses-b_dseg.nii")
    pairs, left_out = match(*folders)
    assert names(pairs) == [
        ("sub-2_ses-b", "sub-2_ses-b_seg-x_dseg.nii.gz", "sub-2_ses-b_dseg.nii"),
        ("sub-10", "sub-10_seg-lobules_dseg.nii.gz", "sub-10_dseg.nii.gz"),
    ]
    assert left_out == []


def test_sessions_of_one_person_are_not_mixed_up(folders: tuple[Path, Path]) -> None:
    put(folders[0], "sub-a_ses-1_dseg.nii.gz")
    put(folders[1], "sub-a_ses-2_dseg.nii.gz")
    pairs, left_out = match(*folders)
    assert pairs == []
    assert [each.case for each in left_out] == ["sub-a_ses-1", "sub-a_ses-2"]


def test_of_the_maps_of_a_run_the_native_one_is_taken_or_the_one_asked_for(folders: tuple[Path, Path]) -> None:
    every = ("sub-a_seg-lobules_dseg.nii.gz", f"sub-a_{MNI}_seg-lobules_dseg.nii.gz",
             f"sub-a_{MNI}_seg-lobules_desc-withfolia_dseg.nii.gz")  # fmt: skip
    put(folders[0], *every)
    put(folders[1], *every)
    for choice, expected in (
        (None, every[0]),
        (Choice(space="MNI152NLin2009aSym"), every[1]),
        (Choice(desc="withfolia"), every[2]),
    ):
        pairs, left_out = match(*folders, choice)
        assert names(pairs) == [("sub-a", expected, expected)]
        assert left_out == []


def test_a_native_map_is_not_compared_with_one_on_the_template(folders: tuple[Path, Path]) -> None:
    put(folders[0], f"sub-a_{MNI}_dseg.nii.gz")
    put(folders[1], "sub-a_dseg.nii.gz")
    pairs, (left_out,) = match(*folders)
    assert pairs == []
    assert f"sub-a_{MNI}_dseg.nii.gz and sub-a_dseg.nii.gz" in left_out.reason


def test_cases_of_one_folder_alone_are_named_and_the_others_go_on(folders: tuple[Path, Path]) -> None:
    put(folders[0], "sub-a_dseg.nii.gz", "sub-b_dseg.nii.gz")
    put(folders[1], "sub-b_dseg.nii.gz", "sub-c_dseg.nii.gz")
    pairs, left_out = match(*folders)
    assert [pair.case for pair in pairs] == ["sub-b"]
    assert [(each.case, each.reason) for each in left_out] == [
        ("sub-a", f"It has a map in {folders[0]} and none in {folders[1]}."),
        ("sub-c", f"It has a map in {folders[1]} and none in {folders[0]}."),
    ]


def test_two_maps_of_a_case_that_cannot_be_told_apart_are_named(folders: tuple[Path, Path]) -> None:
    put(folders[0], "sub-a_run-1_dseg.nii.gz", "sub-a_run-2_dseg.nii.gz")
    put(folders[1], "sub-a_dseg.nii.gz")
    pairs, (left_out,) = match(*folders)
    assert pairs == []
    assert "Expected one map, found sub-a_run-1_dseg.nii.gz, sub-a_run-2_dseg.nii.gz" in left_out.reason


def test_without_bids_names_the_names_themselves_match(folders: tuple[Path, Path]) -> None:
    put(folders[0], "anna.nii.gz", "bert.nii.gz")
    put(folders[1], "anna.mgz", "bert.nii")
    assert [pair.case for pair in match(*folders)[0]] == ["anna", "bert"]


def test_what_lies_beside_bids_maps_is_not_looked_at(folders: tuple[Path, Path]) -> None:
    put(folders[0], "sub-a_dseg.nii.gz", "work/sub-a/segment/dseg.nii.gz", "sub-a_T1w.nii.gz")
    put(folders[1], "sub-a_dseg.nii.gz")
    assert names(match(*folders)[0]) == [("sub-a", "sub-a_dseg.nii.gz", "sub-a_dseg.nii.gz")]


def test_paths_that_cannot_be_compared_are_refused(folders: tuple[Path, Path]) -> None:
    file = folders[0] / "sub-a_dseg.nii.gz"
    with pytest.raises(DatasetError, match="expected a label map or a folder of them, found nothing"):
        match(file, folders[1])
    file.touch()
    with pytest.raises(DatasetError, match=r"sub-a_dseg.nii.gz: expected a folder"):
        match(file, folders[1])
    with pytest.raises(DatasetError, match=r"truth: expected label maps"):
        match(*folders)
