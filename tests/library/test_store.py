"""Reading a finished library."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cerebatch.errors import LibraryError
from cerebatch.library import writing
from cerebatch.library.case import LabelledCase
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import info, open_library
from cerebatch.library.tissues import TISSUES
from cerebatch.library.verify import verify
from cerebatch.spatial import space

GRID = space.cerebellum_box(4.0)
NAMES = ("a", "a-mirrored", "b", "b-mirrored")
VOXELS = ("image", "tissue_share", "dseg", "lobules", "preview")

WriteLibrary = Callable[[Path, list[LabelledCase]], Path]


def test_what_is_written_is_read_back(cases: list[LabelledCase], finished: Path) -> None:
    library = open_library(finished)
    assert library.names == NAMES
    for index, case in enumerate(cases):
        for channel, contrast in enumerate(CONTRASTS):
            image = library.image(index, contrast)
            assert image.dtype == np.float32
            np.testing.assert_array_equal(image, case.image[channel].astype(np.float16))
        np.testing.assert_array_equal(library.tissue(index), case.tissue)
        np.testing.assert_array_equal(library.dseg(index), case.dseg)
        np.testing.assert_array_equal(library.lobules(index), case.lobules)
    assert library.persons == ("person-1", "person-1", "person-2", "person-2")
    assert library.heads == ("head-1", "head-1", "head-2", "head-2")
    assert library.twins == ("a-mirrored", "a", "b-mirrored", "b")
    assert library.mirrored == (False, True, False, True)
    assert library.rendered == (True,) * 4
    assert library.resolution == 4.0
    assert library.grid.shape == GRID.shape


def test_the_dataset_names_dimensions_tissues_and_contrasts(cases: list[LabelledCase], finished: Path) -> None:
    dataset = open_library(finished).dataset()
    assert dataset["image"].dims == ("case", "contrast", "x", "y", "z")
    assert dataset["tissue_share"].dims == ("case", "tissue", "x", "y", "z")
    assert dataset["preview"].dims == ("case", "px", "py", "pz")
    assert tuple(dataset["contrast"].values) == ("T1w", "T2w")
    assert tuple(dataset["tissue"].values) == TISSUES
    assert tuple(dataset.coords["name"].values) == NAMES
    assert json.loads(str(dataset["sources"].values[2])) == ["map.nii.gz", "tête-2.nii.gz"]
    np.testing.assert_allclose(dataset["overlap"], [0.91, 0.91, 0.92, 0.92])
    np.testing.assert_array_equal(dataset["dseg"][1], cases[1].dseg)
    np.testing.assert_array_equal(dataset.attrs["affine"], GRID.affine)
    assert (dataset.attrs["space"], dataset.attrs["seed"]) == ("MNI152NLin2009aSym", 7)


def test_previews_at_4_mm_are_the_images(cases: list[LabelledCase], finished: Path) -> None:
    previews = open_library(finished).previews()
    assert previews.dtype == np.float32
    np.testing.assert_array_equal(previews, np.stack([case.image[0].astype(np.float16) for case in cases]))


def test_the_region_is_where_any_case_has_a_label(cases: list[LabelledCase], finished: Path) -> None:
    expected = np.any([case.dseg > 0 for case in cases], axis=0)
    np.testing.assert_array_equal(open_library(finished).region(), expected)


def test_opening_reads_no_voxels(damaged: Path) -> None:
    for variable in VOXELS:
        shutil.rmtree(damaged / variable / "c")
    library = open_library(damaged)
    assert library.names == NAMES
    assert library.dataset().sizes["case"] == 4
    with pytest.raises(LibraryError, match="no dseg of case a"):
        library.dseg(0)


def test_a_handle_travels_to_other_processes(finished: Path) -> None:
    library = open_library(finished)
    library.dseg(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(library)).dseg(1), library.dseg(1))


def test_nothing_warns(write_library: WriteLibrary, cases: list[LabelledCase], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        library = open_library(write_library(tmp_path / "quiet.zarr", cases))
        library.previews()
        library.dataset().load()
        assert verify(library.path) == []


def test_the_digest_changes_with_any_content(
    write_library: WriteLibrary, cases: list[LabelledCase], tmp_path: Path, finished: Path
) -> None:
    first, *others = cases
    brighter, relabelled = first.image.copy(), first.lobules.copy()
    brighter[1, 5, 5, 5] += 1
    relabelled[10, 10, 10] = 1 + relabelled[10, 10, 10] % 13
    variants = {
        "image": dataclasses.replace(first, image=brighter),
        "lobules": dataclasses.replace(first, lobules=relabelled),
        "person": dataclasses.replace(first, person="somebody else"),
    }
    digests = {
        open_library(write_library(tmp_path / f"{name}.zarr", [case, *others])).digest
        for name, case in variants.items()
    }
    assert len(digests | {open_library(finished).digest}) == 4


def test_a_summary_counts_people_heads_and_bytes(finished: Path) -> None:
    summary = info(finished)
    counts = [summary[key] for key in ("cases", "persons", "heads", "mirrored", "rendered", "resolution_mm")]
    assert counts == [4, 2, 2, 2, 4, 4.0]
    assert summary["overlap_median"] == pytest.approx(0.915)
    assert summary["visible_share_median"] == pytest.approx(0.55)
    assert summary["visible_share_range"] == pytest.approx((0.5, 0.6))
    assert 1e-4 < summary["gigabytes"] < 2e-3
    assert (summary["licence"], summary["version"], summary["digest"]) == ("CC0", 1, open_library(finished).digest)


@pytest.mark.parametrize(("shares", "expected"), [((np.nan, 0.5), [0.5] * 3), ((np.nan, np.nan), [np.nan] * 3)])
def test_cases_without_borders_do_not_hide_the_visible_share_of_the_others(
    write_library: WriteLibrary,
    cases: list[LabelledCase],
    tmp_path: Path,
    shares: tuple[float, ...],
    expected: list[float],
) -> None:
    bare = [dataclasses.replace(case, visible_share=share) for case, share in zip(cases[:2], shares, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = info(write_library(tmp_path / "bare.zarr", bare))
    assert [summary["visible_share_median"], *summary["visible_share_range"]] == pytest.approx(expected, nan_ok=True)


def test_an_unfinished_library_is_not_opened(cases: list[LabelledCase], tmp_path: Path) -> None:
    path = tmp_path / "begun.zarr"
    writing.create(path, NAMES, 4.0, seed=7, licence="CC0")
    writing.write_case(path, 1, cases[1])
    with pytest.raises(LibraryError, match=r"expected a finished library, found 1 of 4 cases.*Run the same build"):
        open_library(path)
