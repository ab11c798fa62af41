"""Names of cases whose scans lie in no dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebatch.errors import SettingsError
from cerebatch.single.naming import label_of, labels_of, parse_name


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("sub-07_ses-2_acq-mprage_T1w.nii.gz", ("07", "2")),
        ("sub-07_T1w.nii", ("07", None)),
        ("sub-07.mgz", ("07", None)),
        ("T1w.nii.gz", ("T1w", None)),
        ("anna 2024_T1w.mgz", ("anna2024", None)),
        ("MPRAGE.NII.GZ", ("MPRAGE", None)),
        ("scan-dicom", ("scandicom", None)),
        ("头.nii.gz", ("scan", None)),
    ],
)
def test_a_file_names_its_case(file: str, label: tuple[str, str | None]) -> None:
    assert label_of(Path("/somewhere") / file) == label


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    paths = [Path("/a/T1w.nii.gz"), Path("/b/T1w.nii.gz"), Path("/c/other.nii.gz")]
    assert labels_of(paths) == [("aT1w", None), ("bT1w", None), ("other", None)]


def test_the_same_file_in_two_formats_is_told_apart_by_number() -> None:
    assert labels_of([Path("/a/x.nii"), Path("/a/x.mgz")]) == [("ax", None), ("axx2", None)]


def test_a_name_has_letters_and_digits_and_perhaps_entities() -> None:
    assert parse_name("sub-01_ses-a") == ("01", "a")
    assert parse_name("anna") == ("anna", None)
    with pytest.raises(SettingsError, match="expected letters and digits"):
        parse_name("../anna")
