"""How cases are found in a BIDS dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from cerebatch.errors import DatasetError, InputError
from cerebatch.io.bids import Case, find_cases


def dataset(root: Path, files: Iterable[str]) -> Path:
    """Empty files in a dataset that has its description."""
    root.mkdir(exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "test", "BIDSVersion": "1.10.0"}')
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def only_case(root: Path, **options: object) -> Case:
    cohort = find_cases(root, **options)  # type: ignore[arg-type]
    assert cohort.problems == ()
    (case,) = cohort.cases
    return case


class TestFindingScans:
    @pytest.mark.parametrize("extension", [".nii", ".nii.gz", ".mgz", ".mgh"])
    def test_a_t1w_without_sessions(self, tmp_path: Path, extension: str) -> None:
        root = dataset(tmp_path, [f"sub-01/anat/sub-01_T1w{extension}"])
        case = only_case(root)
        assert case == Case("01", None, root / f"sub-01/anat/sub-01_T1w{extension}")
        assert case.name == "sub-01"
        assert case.folder == Path("sub-01/anat")

    def test_a_t1w_and_a_t2w_in_a_session(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-01/ses-a/anat/sub-01_ses-a_{s}.nii.gz" for s in ("T1w", "T2w", "FLAIR")])
        case = only_case(root)
        assert (case.t1w.name, case.t2w and case.t2w.name) == ("sub-01_ses-a_T1w.nii.gz", "sub-01_ses-a_T2w.nii.gz")
        assert case.name == "sub-01_ses-a"
        assert case.folder == Path("sub-01/ses-a/anat")
        assert case.warnings == ()

    def test_people_with_and_without_sessions_in_one_dataset(self, tmp_path: Path) -> None:
        root = dataset(
            tmp_path,
            [
                "sub-1/anat/sub-1_T1w.nii",
                "sub-2/ses-pre/anat/sub-2_ses-pre_T1w.nii",
                "sub-2/ses-post/anat/sub-2_ses-post_T1w.nii",
                "sub-3/anat/sub-3_T1w.nii",
                "sub-3/ses-1/anat/sub-3_ses-1_T1w.nii",
            ],
        )
        names = [case.name for case in find_cases(root).cases]
        assert names == ["sub-1", "sub-2_ses-post", "sub-2_ses-pre", "sub-3", "sub-3_ses-1"]

    def test_cases_come_in_natural_order(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-{n}/anat/sub-{n}_T1w.nii" for n in (10, 9, 1)])
        assert [case.participant for case in find_cases(root).cases] == ["1", "9", "10"]
        assert [case.participant for case in find_cases(root, participants=["10", "9"]).cases] == ["9", "10"]

    def test_labels_are_taken_with_and_without_prefix(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-{n}/ses-1/anat/sub-{n}_ses-1_T1w.nii" for n in "abc"])
        cohort = find_cases(root, participants=["sub-a", "b", "a"], sessions=["ses-1"])
        assert [case.name for case in cohort.cases] == ["sub-a_ses-1", "sub-b_ses-1"]
        assert cohort.problems == ()

    def test_sessions_restrict(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-1/ses-{s}/anat/sub-1_ses-{s}_T1w.nii" for s in "xyz"])
        assert only_case(root, sessions=["y"]).session == "y"

    def test_hidden_files_phase_images_and_sidecars_are_no_candidates(self, tmp_path: Path) -> None:
        names = ["._sub-1_T1w.nii.gz", "sub-1_part-phase_T1w.nii.gz", "sub-1_T1w.json", "sub-1_part-mag_T1w.nii.gz"]
        case = only_case(dataset(tmp_path, [f"sub-1/anat/{name}" for name in names]))
        assert case.t1w.name == "sub-1_part-mag_T1w.nii.gz"
        assert case.warnings == ()


class TestSeveralImages:
    def test_the_first_run_is_taken_and_the_others_are_named_with_the_way_to_choose(self, tmp_path: Path) -> None:
        case = only_case(dataset(tmp_path, [f"sub-1/anat/sub-1_run-{n}_T1w.nii" for n in (10, 2)]))
        assert case.t1w.name == "sub-1_run-2_T1w.nii"
        (warning,) = case.warnings
        assert "sub-1_run-10_T1w.nii left out" in warning
        assert "run=10" in warning

    @pytest.mark.parametrize(("run", "taken"), [("2", "run-02"), ("002", "run-02"), ("1", "run-01")])
    def test_runs_are_compared_as_numbers(self, tmp_path: Path, run: str, taken: str) -> None:
        case = only_case(
            dataset(tmp_path, [f"sub-1/anat/sub-1_run-0{n}_T1w.nii" for n in (1, 2)]), filters={"run": run}
        )
        assert taken in case.t1w.name
        assert case.warnings == ()

    def test_every_filter_must_hold_for_a_t1w(self, tmp_path: Path) -> None:
        names = ["acq-flash_run-1", "acq-flash_run-2", "acq-mprage_run-1", "acq-mprage_run-2"]
        root = dataset(tmp_path, [f"sub-1/anat/sub-1_{name}_T1w.nii" for name in names])
        case = only_case(root, filters={"acq": "mprage", "run": "2"})
        assert case.t1w.name == "sub-1_acq-mprage_run-2_T1w.nii"

    def test_a_t2w_need_not_carry_the_entities_of_a_filter(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/anat/sub-1_acq-mprage_run-2_T1w.nii", "sub-1/anat/sub-1_T2w.nii"])
        assert only_case(root, filters={"acq": "mprage", "run": "2"}).t2w

    def test_a_filter_of_runs_holds_for_a_t2w_that_has_runs(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-1/anat/sub-1_run-{n}_{s}.nii" for n in (1, 2) for s in ("T1w", "T2w")])
        case = only_case(root, filters={"run": "2"})
        assert case.t2w and case.t2w.name == "sub-1_run-2_T2w.nii"

    def test_a_filter_of_acquisitions_prefers_but_never_excludes_a_t2w(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-1/anat/sub-1_acq-{a}.nii" for a in ("mprage_T1w", "space_T2w", "tse_T2w")])
        mprage = only_case(root, filters={"acq": "mprage"}).t2w
        assert mprage and mprage.name == "sub-1_acq-space_T2w.nii"
        (root / "sub-1/anat/sub-1_acq-tse_T1w.nii").touch()
        tse = only_case(root, filters={"acq": "tse"}).t2w
        assert tse and tse.name == "sub-1_acq-tse_T2w.nii"

    def test_one_image_in_two_formats_is_warned_of(self, tmp_path: Path) -> None:
        case = only_case(dataset(tmp_path, ["sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T1w.nii.gz"]))
        assert case.t1w.name == "sub-1_T1w.nii"
        assert "remove the others" in case.warnings[0]


class TestProblems:
    def test_someone_without_t1w_is_listed_and_stops_nobody_else(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/anat/sub-1_T2w.nii", "sub-2/anat/sub-2_T1w.nii", "sub-3/func/x.nii"])
        cohort = find_cases(root)
        assert [case.name for case in cohort.cases] == ["sub-2"]
        assert [problem.name for problem in cohort.problems] == ["sub-1", "sub-3"]
        assert "sub-1_T2w.nii" in cohort.problems[0].reason
        assert cohort.problems[0].path == root / "sub-1/anat"
        assert "found none" in cohort.problems[1].reason

    def test_an_image_of_someone_else_in_the_folder_is_not_taken(self, tmp_path: Path) -> None:
        (problem,) = find_cases(dataset(tmp_path, ["sub-1/anat/sub-2_T1w.nii"])).problems
        assert "sub-2_T1w.nii" in problem.reason

    def test_an_image_without_its_session_in_its_name_is_not_taken(self, tmp_path: Path) -> None:
        (problem,) = find_cases(dataset(tmp_path, ["sub-1/ses-1/anat/sub-1_T1w.nii"])).problems
        assert problem.name == "sub-1_ses-1"
        assert "sub-1_T1w.nii" in problem.reason

    def test_a_participant_who_does_not_exist_is_listed_with_the_nearest(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, [f"sub-control{n}/anat/sub-control{n}_T1w.nii" for n in (1, 2)])
        cohort = find_cases(root, participants=["contrl1", "control2"])
        assert [case.participant for case in cohort.cases] == ["control2"]
        (problem,) = cohort.problems
        assert problem.participant == "contrl1"
        assert "sub-control1" in problem.reason

    def test_a_session_that_does_not_exist_is_listed_with_those_that_do(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/ses-a/anat/sub-1_ses-a_T1w.nii", "sub-2/anat/sub-2_T1w.nii"])
        first, second = find_cases(root, sessions=["b"]).problems
        assert (first.name, second.name) == ("sub-1_ses-b", "sub-2_ses-b")
        assert "ses-a" in first.reason
        assert "no sessions" in second.reason

    def test_filters_that_match_nothing_are_listed_with_what_there_is(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/anat/sub-1_acq-mprage_T1w.nii"])
        (problem,) = find_cases(root, filters={"acq": "flash"}).problems
        assert "acq=flash" in problem.reason
        assert "sub-1_acq-mprage_T1w.nii" in problem.reason

    def test_content_that_was_not_fetched_is_listed(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/anat/sub-1_T2w.json"])
        (root / "sub-1/anat/sub-1_T1w.nii.gz").symlink_to("../../.git/annex/objects/gone")
        (problem,) = find_cases(root).problems
        assert "datalad get" in problem.reason

    def test_a_folder_that_cannot_be_read_is_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = dataset(tmp_path, [f"sub-{n}/anat/sub-{n}_T1w.nii" for n in (1, 2)])
        iterdir = Path.iterdir

        def forbidden(folder: Path) -> object:
            if "sub-1" in folder.parts:
                raise PermissionError(13, "Permission denied")
            return iterdir(folder)

        monkeypatch.setattr(Path, "iterdir", forbidden)
        cohort = find_cases(root)
        assert [case.name for case in cohort.cases] == ["sub-2"]
        assert "Permission denied" in cohort.problems[0].reason


class TestWhichFoldersAreOpened:
    def opened(self, root: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> set[str]:
        folders: set[str] = set()
        for function in ("scandir", "listdir"):

            def counted(folder: object = ".", original: object = getattr(os, function)) -> object:
                folders.add(Path(str(folder)).relative_to(root).as_posix())
                return original(folder)  # type: ignore[operator]

            monkeypatch.setattr(os, function, counted)
        find_cases(root, **options)  # type: ignore[arg-type]
        monkeypatch.undo()
        return folders

    def test_participants_who_are_named_are_found_without_listing_the_dataset(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = dataset(tmp_path, [f"sub-{n}/anat/sub-{n}_T1w.nii" for n in range(20)])
        assert self.opened(root, monkeypatch, participants=["3"]) == {"sub-3", "sub-3/anat"}

    def test_everybody_is_found_by_listing_the_root_and_the_folders_of_anatomy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = dataset(
            tmp_path,
            [
                "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii",
                "sub-1/ses-1/func/deep/bold.nii",
                "sub-2/anat/sub-2_T1w.nii",
                "sub-2/dwi/dwi.nii",
                "derivatives/sub-1/anat/sub-1_T1w.nii",
                "sourcedata/sub-1/raw.dcm",
            ],
        )
        folders = {".", "sub-1", "sub-1/ses-1/anat", "sub-2", "sub-2/anat"}
        assert self.opened(root, monkeypatch) == folders


class TestRelativePaths:
    """Jobs on other nodes start in other folders."""

    def test_a_relative_dataset_gives_absolute_scans(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dataset(tmp_path / "bids", ["sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T2w.nii", "sub-2/anat/none"])
        monkeypatch.chdir(tmp_path)
        cohort = find_cases(Path("bids"))
        (case,), (problem,) = cohort.cases, cohort.problems
        assert case.t1w == tmp_path / "bids/sub-1/anat/sub-1_T1w.nii"
        assert case.t2w == tmp_path / "bids/sub-1/anat/sub-1_T2w.nii"
        assert problem.path == tmp_path / "bids/sub-2/anat"

    @pytest.mark.parametrize("scans", [(Path("T1w.nii"), None), (Path("/T1w.nii"), Path("T2w.nii"))])
    def test_a_case_of_a_relative_scan_is_refused(self, scans: tuple[Path, Path | None]) -> None:
        with pytest.raises(InputError, match=r"T.w\.nii: expected an absolute path, .* found a relative one\. Give /"):
            Case("1", None, *scans)


class TestDatasetsThatCannotBeUsed:
    def test_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"bids: .*nothing there.*Check the path"):
            find_cases(tmp_path / "bids")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "bids").touch()
        with pytest.raises(DatasetError, match="a file"):
            find_cases(tmp_path / "bids")

    @pytest.mark.parametrize("participants", [[], ["1"]])
    def test_a_folder_without_participants(self, tmp_path: Path, participants: list[str]) -> None:
        with pytest.raises(DatasetError, match=r"sub-\*, found none.*sorted into BIDS"):
            find_cases(dataset(tmp_path, ["anat/T1w.nii"]), participants=participants)

    def test_a_missing_description_and_table_are_warned_of(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, ["sub-1/anat/sub-1_T1w.nii"])
        (root / "dataset_description.json").unlink()
        description, table = find_cases(root).warnings
        assert "dataset_description.json" in description
        assert "participants.tsv" in table


class TestRealDataset:
    def test_everybody_is_found_with_age_and_sex_where_known(self, data: Path) -> None:
        cohort = find_cases(data / "scans")
        assert cohort.problems == cohort.warnings == ()
        assert len(cohort.cases) == len(list((data / "scans").glob("sub-*")))
        assert all(case.warnings == () for case in cohort.cases)
        known = [case for case in cohort.cases if not case.participant.startswith("whole")]
        assert all(case.age and case.sex for case in known)
        assert [case.participant[:4] for case in cohort.cases if case.t2w] == ["pair"]
