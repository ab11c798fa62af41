"""The table of labels, and translation into it."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch.labels import (
    LABELS,
    LOBES,
    N_CLASSES,
    SIDES,
    STRUCTURES,
    WHITE_MATTER,
    codes_of,
    from_cobralab,
    homologue,
    mirrored,
    side_of,
    structure_of,
    white_matter_of,
)

label_maps = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, len(LABELS))
)


class TestTheTable:
    def test_the_codes_are_1_to_26_in_order(self) -> None:
        assert [label.index for label in LABELS] == list(range(1, 27))

    def test_with_background_there_are_27_classes(self) -> None:
        assert N_CLASSES == 27

    def test_left_is_1_to_13_and_right_is_14_to_26(self) -> None:
        assert [label.side for label in LABELS] == ["left"] * 13 + ["right"] * 13

    def test_both_sides_have_the_same_structures_in_the_same_order(self) -> None:
        for side in ("left", "right"):
            assert tuple(label.structure for label in LABELS if label.side == side) == STRUCTURES

    def test_the_structures_are_the_twelve_lobules_and_the_white_matter(self) -> None:
        assert STRUCTURES == (
            "I-II", "III", "IV", "V", "VI", "Crus I", "Crus II", "VIIB", "VIIIA", "VIIIB", "IX", "X", "White matter",
        )  # fmt: skip

    def test_both_sides_of_a_structure_are_in_the_same_lobe(self) -> None:
        left, right = LABELS[:13], LABELS[13:]
        assert [label.lobe for label in left] == [label.lobe for label in right]

    def test_every_lobe_has_a_lobule_and_only_the_white_matter_has_none(self) -> None:
        assert {label.lobe for label in LABELS if label.structure != "White matter"} == set(LOBES)
        assert {label.lobe for label in LABELS if label.structure == "White matter"} == {"white_matter"}

    def test_no_two_labels_share_a_name_an_abbreviation_a_colour_or_a_cobralab_code(self) -> None:
        for field in ("name", "abbreviation", "color", "cobralab"):
            assert len({getattr(label, field) for label in LABELS}) == len(LABELS), field

    def test_a_name_begins_with_the_side_and_an_abbreviation_with_its_letter(self) -> None:
        for label in LABELS:
            assert label.name.startswith(label.side.capitalize() + " ")
            assert label.abbreviation.startswith(label.side[0].upper() + "_")

    def test_every_colour_is_hexadecimal_rgb(self) -> None:
        assert [label.color for label in LABELS if not re.fullmatch("#[0-9a-f]{6}", label.color)] == []


class TestMirroring:
    @given(label_maps)
    @settings(deadline=None)
    def test_twice_is_the_map_itself(self, dseg: NDArray[np.uint8]) -> None:
        np.testing.assert_array_equal(mirrored(mirrored(dseg)), dseg)

    @given(label_maps)
    @settings(deadline=None)
    def test_every_voxel_keeps_its_structure_and_changes_its_side(self, dseg: NDArray[np.uint8]) -> None:
        for before, after in zip(dseg.ravel(), mirrored(dseg).ravel(), strict=True):
            if before == 0:
                assert after == 0
            else:
                assert LABELS[after - 1].structure == LABELS[before - 1].structure
                assert LABELS[after - 1].side != LABELS[before - 1].side

    def test_the_map_that_was_given_stays_as_it_was(self) -> None:
        dseg = np.array([[[1, 14]]], dtype=np.uint8)
        mirrored(dseg)
        assert dseg.tolist() == [[[1, 14]]]


class TestSidesAndStructures:
    CODES = np.arange(N_CLASSES, dtype=np.uint8)

    def test_a_voxel_has_the_side_and_the_structure_of_its_label(self) -> None:
        sides, structures = side_of(self.CODES), structure_of(self.CODES)
        assert (sides[0], structures[0]) == (0, 0)
        assert [SIDES[side - 1] for side in sides[1:]] == [label.side for label in LABELS]
        assert [STRUCTURES[number - 1] for number in structures[1:]] == [label.structure for label in LABELS]

    def test_the_white_matter_of_a_voxel_is_that_of_its_side(self) -> None:
        assert WHITE_MATTER == (13, 26)
        assert white_matter_of(self.CODES).tolist() == [0, *[13] * 13, *[26] * 13]

    def test_the_homologue_is_the_code_that_mirroring_gives(self) -> None:
        assert [homologue(label.index) for label in LABELS] == mirrored(self.CODES)[1:].tolist()
        assert [homologue(homologue(label.index)) for label in LABELS] == [label.index for label in LABELS]

    def test_codes_are_found_by_structure_and_by_side(self) -> None:
        assert codes_of("Crus I") == (6, 19)
        assert codes_of("Crus I", "right") == (19,)
        assert codes_of(side="left") == tuple(range(1, 14))
        assert codes_of() == tuple(range(1, 27))


class TestCobralab:
    def test_every_code_of_the_protocol_becomes_ours(self) -> None:
        theirs = np.array([label.cobralab for label in LABELS], dtype=np.int16).reshape(2, 13, 1)
        ours, dropped = from_cobralab(theirs)
        assert ours.ravel().tolist() == [label.index for label in LABELS]
        assert ours.shape == theirs.shape
        assert ours.dtype == np.uint8
        assert dropped == {}

    def test_unknown_codes_become_background_and_are_counted(self) -> None:
        theirs = np.array([0, 1, 14, 14, 113, 255, -3, 14], dtype=np.int16).reshape(2, 2, 2)
        ours, dropped = from_cobralab(theirs)
        assert ours.ravel().tolist() == [0, 1, 0, 0, 26, 0, 0, 0]
        assert dropped == {14: 3, 255: 1, -3: 1}

    @given(hnp.arrays(np.int16, (3, 4, 2), elements=st.integers(-2, 120)))
    @settings(deadline=None)
    def test_no_voxel_is_lost_without_being_counted(self, theirs: NDArray[np.int16]) -> None:
        ours, dropped = from_cobralab(theirs)
        assert np.count_nonzero(theirs) == np.count_nonzero(ours) + sum(dropped.values())
