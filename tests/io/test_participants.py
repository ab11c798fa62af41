"""What is taken from the tables of a BIDS dataset, seen from the cases that are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cerebatch.errors import DatasetError
from cerebatch.io.bids import Case, find_cases

SCAN = "sub-1/anat/sub-1_T1w.nii"


def dataset(root: Path, participants: str, files: Sequence[str] = (SCAN,)) -> Path:
    """Empty files in a dataset that has its description and a table (columns by blanks, `;` ends a row)."""
    (root / "dataset_description.json").write_text('{"Name": "test", "BIDSVersion": "1.10.0"}')
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    write_table(root / "participants.tsv", participants)
    return root


def write_table(path: Path, rows: str) -> None:
    path.write_text("\n".join("\t".join(row.split()) for row in rows.split(";")) + "\n")


def only_case(root: Path) -> Case:
    cohort = find_cases(root)
    assert cohort.problems == ()
    (case,) = cohort.cases
    return case


class TestTablesThatCannotBeUsed:
    def test_a_table_without_its_first_column(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, "subject age;1 30")
        with pytest.raises(DatasetError, match=r"participants.tsv: .*participant_id, found the columns subject, age"):
            find_cases(root)

    @pytest.mark.parametrize("content", [b"", b"participant_id,age\nsub-1,30\n", b"\xff\xfe\x00p\x00a"])
    def test_a_table_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        root = dataset(tmp_path, "")
        (root / "participants.tsv").write_bytes(content)
        with pytest.raises(DatasetError, match=r"participants.tsv"):
            find_cases(root)


class TestAgeAndSex:
    def case(self, root: Path, table: str) -> Case:
        return only_case(dataset(root, table))

    @pytest.mark.parametrize("text", ["30", "30.0", "3e1"])
    def test_an_age_in_years(self, tmp_path: Path, text: str) -> None:
        assert self.case(tmp_path, f"participant_id age;sub-1 {text}").age == 30

    @pytest.mark.parametrize("text", ["n/a", "N/A", "NaN"])
    def test_an_age_that_is_not_given(self, tmp_path: Path, text: str) -> None:
        case = self.case(tmp_path, f"participant_id age sex;sub-1 {text} {text}")
        assert (case.age, case.sex, case.warnings) == (None, None, ())

    @pytest.mark.parametrize("text", ["89+", "P034Y", "-3", "1820", "32,5", "inf"])
    def test_an_age_that_is_no_number_of_years_is_unknown_with_a_warning(self, tmp_path: Path, text: str) -> None:
        case = self.case(tmp_path, f"participant_id age;sub-1 {text}")
        assert case.age is None
        assert repr(text) in case.warnings[0]

    @pytest.mark.parametrize(
        ("text", "sex"), [("F", "F"), ("female", "F"), ("f", "F"), ("M", "M"), ("Male", "M"), ("m", "M")]
    )
    def test_sex_in_its_spellings(self, tmp_path: Path, text: str, sex: str) -> None:
        case = self.case(tmp_path, f"participant_id sex;sub-1 {text}")
        assert (case.sex, case.warnings) == (sex, ())

    @pytest.mark.parametrize("text", ["1", "2", "O", "x"])
    def test_sex_in_another_code_is_not_guessed(self, tmp_path: Path, text: str) -> None:
        case = self.case(tmp_path, f"participant_id sex;sub-1 {text}")
        assert case.sex is None
        assert repr(text) in case.warnings[0]

    @pytest.mark.parametrize(
        "table",
        [
            "age participant_id sex;30 sub-1 F",
            "Participant_ID Age SEX;sub-1 30 F",
            "participant_id age sex;1 30 F",
            "\ufeffparticipant_id age sex;sub-1 30 F",
            "participant_id age sex hand;sub-0;sub-1 30 F",
        ],
    )
    def test_columns_in_any_order_case_and_number(self, tmp_path: Path, table: str) -> None:
        case = self.case(tmp_path, table)
        assert (case.age, case.sex, case.warnings) == (30, "F", ())

    def test_someone_missing_in_the_table_is_no_error(self, tmp_path: Path) -> None:
        case = self.case(tmp_path, "participant_id age;sub-2 40")
        assert (case.age, case.sex, case.warnings) == (None, None, ())

    def test_someone_listed_twice_is_warned_of(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, "participant_id age;sub-1 40;sub-1 42")
        cohort = find_cases(root)
        assert cohort.cases[0].age == 40
        assert "more than once" in cohort.warnings[0]

    def test_the_age_of_a_session_wins(self, tmp_path: Path) -> None:
        files = [f"sub-1/ses-{n}/anat/sub-1_ses-{n}_T1w.nii" for n in (1, 2, 3)]
        root = dataset(tmp_path, "participant_id age;sub-1 40", files)
        write_table(root / "sub-1/sub-1_sessions.tsv", "session_id age;ses-1 40.5;ses-2 n/a")
        assert [case.age for case in find_cases(root).cases] == [40.5, 40, 40]

    def test_a_broken_table_of_sessions_is_warned_of(self, tmp_path: Path) -> None:
        root = dataset(tmp_path, "participant_id age;sub-1 40", ["sub-1/ses-1/anat/sub-1_ses-1_T1w.nii"])
        write_table(root / "sub-1/sub-1_sessions.tsv", "visit age;1 41")
        case = only_case(root)
        assert case.age == 40
        assert "sub-1_sessions.tsv is not used" in case.warnings[0]
