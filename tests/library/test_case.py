"""The mirrored twin of a labelled case."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from cerebatch import labels
from cerebatch.library.case import LabelledCase, mirrored_pair, mirrored_twin

MakeCase = Callable[..., LabelledCase]


def test_the_twin_lies_on_the_other_side_in_the_codes_of_the_other_side(make_case: MakeCase) -> None:
    case = make_case("a")
    twin = mirrored_twin(case)
    assert (twin.name, twin.twin, twin.mirrored, twin.person) == ("a-mirrored", "a", True, "person-1")
    assert set(np.unique(case.dseg)) == set(range(14))
    assert set(np.unique(twin.dseg)) == {0, *range(14, 27)}
    assert twin.dseg[30 - 4, 6, 7] == labels.mirrored(case.dseg)[35 - 26, 6, 7]
    np.testing.assert_array_equal(twin.image[1, 0], case.image[1, -1])
    np.testing.assert_array_equal(twin.tissue[2, 3], case.tissue[2, -4])


def test_the_twin_of_the_twin_is_the_case(make_case: MakeCase) -> None:
    case, twin = mirrored_pair(make_case("a"))
    again = mirrored_twin(twin)
    for field in dataclasses.fields(LabelledCase):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(case, field.name))
