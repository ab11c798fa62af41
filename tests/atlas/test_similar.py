"""Choosing cases of a library, and whom a test leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.errors import LibraryError
from cerebatch.intensity.standardise import standardised
from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import Library, open_library

MakeCase = Callable[..., LabelledCase]
WriteLibrary = Callable[[Path, list[LabelledCase]], Path]


@pytest.fixture
def library(make_case: MakeCase, write_library: WriteLibrary, tmp_path: Path) -> Library:
    """Two people in two heads each, with twins."""
    cases = [
        replace(make_case(f"{person}_{head}", seed), person=person, head=head)
        for seed, (person, head) in enumerate([("a", "h"), ("a", "k"), ("b", "h"), ("b", "k")], start=1)
    ]
    return open_library(write_library(tmp_path / "LIB.zarr", [twin for case in cases for twin in mirrored_pair(case)]))


def test_a_case_is_most_similar_to_itself(library: Library) -> None:
    for index in range(len(library.names)):
        assert most_similar(library.image(index, "T1w"), library, 3)[0] == index


def test_contrast_and_brightness_do_not_decide(library: Library) -> None:
    assert most_similar(0.4 * library.image(5, "T1w") + 30, library, 1) == [5]


def test_the_nearest_come_first(library: Library) -> None:
    """Between two cases the mixture is nearer to the one that it has more of."""
    mixture = 0.6 * library.image(2, "T1w") + 0.4 * library.image(6, "T1w")
    assert most_similar(mixture, library, 2) == [2, 6]


def test_leaving_out_a_case_leaves_out_its_person_its_twin_and_its_head(library: Library) -> None:
    index = library.names.index("a_h")
    chosen = most_similar(library.image(index, "T1w"), library, 20, LeaveOut.of(library, index))
    assert {library.names[k] for k in chosen} == {"b_k", "b_k-mirrored"}


def test_no_more_cases_are_given_than_there_are(library: Library) -> None:
    assert len(most_similar(library.image(0, "T1w"), library, 100)) == 8


def test_a_library_of_nobody_else_is_refused_by_name(library: Library) -> None:
    with pytest.raises(LibraryError, match=r"LIB\.zarr: expected cases of other people"):
        most_similar(library.image(0, "T1w"), library, 3, LeaveOut(persons=("a", "b")))


def test_standardised_images_have_mean_0_and_spread_1_in_the_region() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(300, 40, (8, 8, 8)).astype(np.float32)
    region = rng.random((8, 8, 8)) < 0.5
    scores = standardised(image, region)[region]
    assert scores.mean() == pytest.approx(0, abs=1e-4)
    assert scores.std() == pytest.approx(1, abs=1e-4)


def test_a_flat_image_gives_finite_scores() -> None:
    flat = np.full((4, 4, 4), 7, dtype=np.float32)
    assert np.isfinite(standardised(flat, np.ones(flat.shape, dtype=bool))).all()
