"""From voxels to the table of volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch.labels import LABELS, LOBES, STRUCTURES
from cerebatch.measures.volumes import COLUMNS, SIDES, WHOLE, Row, counted_cm3, table

label_maps = hnp.arrays(np.uint8, (6, 5, 4), elements=st.integers(0, len(LABELS)))


def nothing() -> dict[int, float]:
    """Every label, and none of them there."""
    return {label.index: 0.0 for label in LABELS}


def of(rows: list[Row], structure: str, side: str) -> Row:
    """The only row of a structure and side."""
    (row,) = [row for row in rows if (row.structure, row.side) == (structure, side)]
    return row


class TestCounting:
    def test_each_label_is_its_voxels_times_the_volume_of_one(self) -> None:
        dseg = np.zeros((10, 10, 10), dtype=np.uint8)
        dseg[:5] = 6
        dseg[9, 9, :3] = 19
        assert counted_cm3(dseg, voxel_mm3=8.0) == nothing() | {6: 4.0, 19: 0.024}

    def test_an_empty_map_has_all_labels_at_zero(self) -> None:
        assert counted_cm3(np.zeros((2, 2, 2), dtype=np.uint8), 1.0) == nothing()

    @given(label_maps)
    @settings(deadline=None)
    def test_all_labels_together_are_all_voxels_but_background(self, dseg: NDArray[np.uint8]) -> None:
        assert sum(counted_cm3(dseg, 1000.0).values()) == np.count_nonzero(dseg)


class TestTheTable:
    def test_it_has_every_structure_lobe_and_the_whole_on_every_side_once(self) -> None:
        found = [(row.structure, row.side) for row in table(nothing(), nothing(), 1500.0)]
        assert found == [(name, side) for name in (*STRUCTURES, *LOBES, WHOLE) for side in SIDES]

    @given(label_maps)
    @settings(deadline=None)
    def test_both_sides_are_left_plus_right(self, dseg: NDArray[np.uint8]) -> None:
        rows = table(counted_cm3(dseg, 1000.0), None, None)
        for name in (*STRUCTURES, *LOBES, WHOLE):
            left, right, both = (of(rows, name, side).volume_cm3 for side in SIDES)
            assert left is not None and right is not None
            assert both == left + right

    @given(label_maps)
    @settings(deadline=None)
    def test_a_lobe_is_the_sum_of_its_lobules(self, dseg: NDArray[np.uint8]) -> None:
        rows = table(counted_cm3(dseg, 1000.0), None, None)
        for lobe in LOBES:
            for side in ("left", "right"):
                lobules = [row for row in LABELS if row.lobe == lobe and row.side == side]
                expected = sum(int(np.count_nonzero(dseg == lobule.index)) for lobule in lobules)
                assert of(rows, lobe, side).volume_cm3 == expected

    @given(label_maps)
    @settings(deadline=None)
    def test_the_whole_is_every_voxel_of_all_26_labels(self, dseg: NDArray[np.uint8]) -> None:
        rows = table(counted_cm3(dseg, 1000.0), None, None)
        assert of(rows, WHOLE, "both").volume_cm3 == np.count_nonzero(dseg)

    def test_the_white_matter_is_in_the_whole_and_in_no_lobe(self) -> None:
        rows = table(nothing() | {13: 2.0, 26: 3.0}, None, None)
        assert [of(rows, lobe, "both").volume_cm3 for lobe in LOBES] == [0.0] * len(LOBES)
        assert of(rows, WHOLE, "both").volume_cm3 == 5.0

    def test_volumes_and_native_counts_stand_side_by_side(self) -> None:
        row = of(table(nothing() | {6: 12.0}, nothing() | {6: 11.5}, None), "Crus I", "left")
        assert (row.volume_cm3, row.native_count_cm3) == (12.0, 11.5)

    def test_volumes_with_folia_stand_beside_them_where_they_are_known(self) -> None:
        rows = table(nothing() | {6: 12.0}, None, None, nothing() | {6: 15.0})
        assert of(rows, "Crus I", "left").with_folia_cm3 == 15.0
        assert of(table(nothing(), None, None), "Crus I", "left").as_text()["with_folia_cm3"] == "n/a"


class TestPercentOfTheIntracranialVolume:
    def test_it_is_taken_from_the_volume_scaled_back_from_mni(self) -> None:
        rows = table(nothing() | {6: 15.0, 19: 30.0}, nothing() | {6: 99.0, 19: 99.0}, icv_cm3=1500.0)
        found = [of(rows, "Crus I", side).percent_icv for side in SIDES]
        assert found == pytest.approx([1.0, 2.0, 3.0])

    def test_without_an_intracranial_volume_there_is_none(self) -> None:
        assert {row.percent_icv for row in table(nothing(), nothing(), None)} == {None}

    def test_without_a_volume_there_is_none(self) -> None:
        assert {row.percent_icv for row in table(None, nothing(), 1500.0)} == {None}


class TestAsymmetry:
    def test_it_is_positive_where_the_right_is_larger(self) -> None:
        rows = table(nothing() | {6: 9.0, 19: 11.0, 7: 3.0, 20: 1.0}, None, None)
        assert of(rows, "Crus I", "both").asymmetry == pytest.approx(20.0)
        assert of(rows, "Crus II", "both").asymmetry == pytest.approx(-100.0)
        assert of(rows, WHOLE, "both").asymmetry == pytest.approx(0.0)

    def test_one_side_alone_has_none(self) -> None:
        rows = table(nothing() | {6: 9.0, 19: 11.0}, None, None)
        assert {row.asymmetry for row in rows if row.side != "both"} == {None}

    def test_a_structure_that_is_not_there_has_none(self) -> None:
        assert of(table(nothing(), None, None), "I-II", "both").asymmetry is None

    def test_it_comes_from_the_native_counts_where_there_is_nothing_else(self) -> None:
        row = of(table(None, nothing() | {6: 1.0, 19: 3.0}, None), "Crus I", "both")
        assert row.asymmetry == pytest.approx(100.0)
        assert row.volume_cm3 is None

    @given(label_maps)
    @settings(deadline=None)
    def test_exchanging_the_sides_turns_the_sign(self, dseg: NDArray[np.uint8]) -> None:
        volumes = counted_cm3(dseg, 1.0)
        exchanged = {code: volumes[(code + 12) % 26 + 1] for code in volumes}
        for row, other in zip(table(volumes, None, None), table(exchanged, None, None), strict=True):
            assert other.asymmetry == (None if row.asymmetry is None else pytest.approx(-row.asymmetry))


class TestText:
    def test_numbers_have_four_decimals_and_what_is_missing_is_n_a(self) -> None:
        row = Row("Crus I", "both", 12.34567, None, 1.0, 14.0, -0.5)
        assert row.as_text() == {
            "structure": "Crus I",
            "side": "both",
            "volume_cm3": "12.3457",
            "native_count_cm3": "n/a",
            "percent_icv": "1.0000",
            "with_folia_cm3": "14.0000",
            "asymmetry": "-0.5000",
        }

    def test_the_columns_are_those_of_the_data_dictionary(self) -> None:
        assert list(table(nothing(), None, None)[0].as_text()) == list(COLUMNS)
