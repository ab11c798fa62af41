"""What is wrong in a table is told by row; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lifespan import Reading, TableError, fit, read_table

Maker = Callable[..., pd.DataFrame]


def table(**columns: list[object]) -> pd.DataFrame:
    """Three people; columns given here replace theirs."""
    content: dict[str, list[object]] = {
        "participant_id": ["a", "b", "c"],
        "age": [20, 30, 40],
        "sex": ["F", "M", "F"],
        "left_cm3": [50.0, 60.0, 55.0],
        "icv_cm3": [1400.0, 1500.0, 1450.0],
    }
    return pd.DataFrame(content | columns)


class TestRefused:
    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"age": [20, -3, 40]}, r"ages in years from 0 to 120, found row 1 \(b\) '-3'"),
            ({"age": [20, 1820, 40]}, r"found row 1 \(b\) '1820'"),
            ({"age": ["20", "89+", "40"]}, r"found row 1 \(b\) '89\+'"),
            ({"sex": ["F", "2", "M"]}, r"sex as F, M, female or male, found row 1 \(b\) '2'.*not guessed"),
            ({"left_cm3": [50.0, 0.0, 55.0]}, r"volumes above 0 in column left_cm3, found row 1 \(b\)"),
            ({"left_cm3": [50.0, -1.0, 55.0]}, r"volumes above 0"),
            ({"left_cm3": ["50", "60,5", "55"]}, r"numbers in column left_cm3, .*'60,5'. Write decimals with a point"),
            ({"left_cm3": ["50", "inf", "55"]}, r"numbers in column left_cm3, found row 1 \(b\) 'inf'"),
            (
                {"left_cm3": [50.0, 60000.0, 55.0]},
                r"column left_cm3 in one unit, found row 1 \(b\).*mm3 and cm3 were mixed",
            ),
            ({"left_cm3": [50.0, 1600.0, 55.0]}, r"smaller than the intracranial volume, found row 1 \(b\)"),
            (
                {"participant_id": ["a", "a", "c"]},
                r"each person \(and session\) once, found row 0 \(a\) 'a', row 1 \(a\)",
            ),
            ({"participant_id": ["a", "", "c"]}, r"a participant_id in every row"),
            ({"tool": ["CERES", "DeepCERES", "CERES"]}, r"CERES in 2 rows, DeepCERES in 1 rows; row 1 \(b\)"),
        ],
    )
    def test_by_row_with_what_was_expected(self, columns: dict[str, list[object]], message: str) -> None:
        with pytest.raises(TableError, match=message):
            read_table(table(**columns))

    def test_all_that_is_wrong_comes_in_one_message(self) -> None:
        with pytest.raises(TableError) as refused:
            read_table(table(age=[20, 300, 40], sex=["F", "x", "M"], left_cm3=[50.0, 0.0, 55.0]))
        for words in ("ages in years", "sex as F", "volumes above 0", "--leave-out"):
            assert words in str(refused.value)

    def test_a_unit_that_cannot_be(self) -> None:
        wrong = table(left_cm3=[50000.0, 60000.0, 55000.0])
        with pytest.raises(TableError, match=r"in the unit that its name tells, found a median of 55000 cm3"):
            read_table(wrong)

    @pytest.mark.parametrize(
        ("column", "message"), [("participant_id", "column participant_id"), ("age", "column age")]
    )
    def test_a_column_that_must_be_there(self, column: str, message: str) -> None:
        with pytest.raises(TableError, match=message):
            read_table(table().drop(columns=column))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "a header and rows below it"),
            ("participant_id\tage\n", "a header and rows below it"),
            ("participant_id\tage\tx_mm3\na\t30\n", r"3 columns and line 2 \(2 cells\)"),
            ("age\tage\n1\t2\n", "age more than once"),
        ],
    )
    def test_a_file_that_is_no_table(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "t.tsv"
        path.write_text(text)
        with pytest.raises(TableError, match=message):
            read_table(path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match="No such file"):
            read_table(tmp_path / "none.tsv")

    def test_a_tool_that_contradicts_the_table(self) -> None:
        with pytest.raises(TableError, match="expected volumes of CERES, found volumes of DeepCERES"):
            read_table(table(tool=["DeepCERES"] * 3), Reading(tool="CERES"))


class TestMissing:
    def test_an_age_takes_the_row_out(self) -> None:
        people = read_table(table(age=["20", "n/a", "40"]))
        assert people.texts("participant_id") == ["a", "c"]
        assert people.warnings == ("1 rows without age are not used: row 1 (b)",)

    def test_a_sex_takes_the_person_out_of_female_and_male(self) -> None:
        people = read_table(table(sex=["F", "", "M"]))
        assert [int(people.in_group(group).sum()) for group in ("all", "female", "male")] == [3, 1, 1]
        assert "row 1 (b)" in people.warnings[0]

    def test_a_volume_takes_the_person_out_of_one_structure(self, people: Maker) -> None:
        whole = people(60)
        holed = whole.astype({"left_1_cm3": object})
        holed.loc[3, "left_1_cm3"] = "n/a"
        model = fit(holed)
        assert model.curves["left_0", "absolute", "all"].observations == 60
        assert model.curves["left_1", "absolute", "all"].observations == 59
        without = fit(whole.drop(index=3))
        age = [30.0, 50.0]
        pd.testing.assert_frame_equal(
            model.predict(age, structure="left_1").drop(columns="people_near"),
            without.predict(age, structure="left_1").drop(columns="people_near"),
        )

    def test_an_icv_takes_the_person_out_of_per_cent_alone(self, people: Maker) -> None:
        holed = people(60).astype({"icv_cm3": object})
        holed.loc[3, "icv_cm3"] = "n/a"
        model = fit(holed)
        counts = [model.curves["left_0", measure, "all"].observations for measure in ("absolute", "percent_icv")]
        assert counts == [60, 59]


class TestLeaveOut:
    def test_wrong_rows_and_values_go_with_a_warning(self) -> None:
        wrong = table(age=[20, 300, 40], left_cm3=[50.0, 60.0, 0.0])
        people = read_table(wrong, Reading(leave_out=True))
        assert people.texts("participant_id") == ["a", "c"]
        assert people.volumes["left"].isna().tolist() == [False, True]
        assert [warning.split(";")[0] for warning in people.warnings] == [
            "left out: row 1 (b) '300'",
            "left out: row 2 (c) '0.0'",
        ]

    def test_of_one_person_twice_the_first_row_stays(self) -> None:
        people = read_table(table(participant_id=["a", "a", "c"]), Reading(leave_out=True))
        assert people.texts("participant_id") == ["a", "c"]
        assert people.age[0] == 20


class TestVisits:
    def test_sessions_make_them(self) -> None:
        people = read_table(table(participant_id=["a", "a", "c"], session=["1", "2", "1"]))
        assert people.texts("participant_id") == ["a", "a", "c"]

    def test_a_pattern_makes_them(self) -> None:
        said = Reading(visit_pattern=r"_MR([0-9]+)$")
        people = read_table(table(participant_id=["a_MR1", "a_MR2", "c_MR1"]), said)
        assert (people.texts("participant_id"), people.texts("session")) == (["a", "a", "c"], ["1", "2", "1"])
