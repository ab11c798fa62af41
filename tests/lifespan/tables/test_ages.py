"""Ages in months, decimal commas, true zeros, and other names of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lifespan import Reading, TableError, read_table


def written(folder: Path, text: str) -> Path:
    path = folder / "volumes.tsv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["age_months", "Age (months)", "age_in_months", "months"])
def test_months_become_years_and_this_is_told(name: str) -> None:
    people = read_table(pd.DataFrame({"participant_id": ["a", "b"], name: [18, 30.0], "x_cm3": [40.0, 50.0]}))
    np.testing.assert_allclose(people.age, [1.5, 2.5])
    assert any(f"column {name} was taken for months and divided by 12" in text for text in people.warnings)


def test_years_come_before_months() -> None:
    table = pd.DataFrame({"participant_id": ["a"], "age_months": [18], "age": [2.0], "x_cm3": [40.0]})
    people = read_table(table)
    assert people.age[0] == 2.0
    assert not any("months" in text for text in people.warnings)


def test_ages_beyond_120_ask_for_months_in_the_name() -> None:
    table = pd.DataFrame({"participant_id": ["a", "b"], "age": [130, 150], "x_cm3": [40.0, 50.0]})
    with pytest.raises(TableError, match="name a column of months age_months"):
        read_table(table)


def test_decimal_commas_of_ages_are_read_and_told(tmp_path: Path) -> None:
    path = written(tmp_path, "participant_id\tage\tx_cm3\na\t34,5\t40\nb\t7\t50\n")
    people = read_table(path)
    np.testing.assert_allclose(people.age, [34.5, 7.0])
    assert any("1 ages have a decimal comma" in text and "line 2 (a) '34,5'" in text for text in people.warnings)


def test_commas_of_thousands_are_no_ages(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="ages in years"):
        read_table(written(tmp_path, "participant_id\tage\tx_cm3\na\t1,234,5\t40\nb\t7\t50\n"))


@pytest.mark.parametrize("name", ["sub_id", "Subject ID", "SubjID", "sub-id", "PTID", "subject_label", "sub"])
def test_other_names_of_the_column_of_people(name: str) -> None:
    people = read_table(pd.DataFrame({name: ["a", "b"], "age": [20.0, 30.0], "x_cm3": [40.0, 50.0]}))
    assert people.texts("participant_id") == ["a", "b"]


class TestTrueZeros:
    TABLE = pd.DataFrame(
        {"participant_id": ["a", "b", "c"], "age": [20, 30, 40], "lesions_cm3": [0, 0.5, 2], "x_cm3": [4, 5, 6]}
    )

    def test_a_structure_that_may_be_0_keeps_its_zeros(self) -> None:
        people = read_table(self.TABLE, Reading(zeros=("lesions",)))
        np.testing.assert_array_equal(people.volumes["lesions"], [0.0, 0.5, 2.0])

    def test_it_is_refused_without_being_told(self) -> None:
        with pytest.raises(TableError, match="--zeros names structures that may be 0"):
            read_table(self.TABLE)

    def test_zeros_of_other_structures_are_still_refused(self) -> None:
        with pytest.raises(TableError, match="volumes above 0 in column x_cm3"):
            read_table(self.TABLE.assign(x_cm3=[0, 5, 6]), Reading(zeros=("lesions",)))

    def test_a_structure_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(TableError, match="structures of --zeros, strokes"):
            read_table(self.TABLE, Reading(zeros=("strokes",)))
