"""Damage of every kind is found in a finished library."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from cerebatch.errors import LibraryError
from cerebatch.library.case import LabelledCase
from cerebatch.library.store import open_library
from cerebatch.library.verify import verify

VOXELS = ("image", "tissue_share", "dseg", "lobules", "preview")

MakeCase = Callable[..., LabelledCase]
WriteLibrary = Callable[[Path, list[LabelledCase]], Path]


def shard(path: Path, variable: str, index: int) -> Path:
    """The one file of a case in a variable."""
    (file,) = (file for file in (path / variable / "c" / str(index)).rglob("*") if file.is_file())
    return file


def array(path: Path, variable: str) -> Any:
    return zarr.open_group(path, mode="r+")[variable]


def test_a_sound_library_has_no_problems(finished: Path) -> None:
    assert verify(finished) == []


@pytest.mark.parametrize("variable", VOXELS)
def test_a_flipped_byte_is_found(damaged: Path, variable: str) -> None:
    file = shard(damaged, variable, 2)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x10
    file.write_bytes(content)
    problems = verify(damaged)
    assert len(problems) == 1
    assert problems[0].startswith(f"b: a damaged {variable} of case b (")


@pytest.mark.parametrize("variable", VOXELS)
def test_a_truncated_file_is_found(damaged: Path, variable: str) -> None:
    file = shard(damaged, variable, 3)
    file.write_bytes(file.read_bytes()[:-20])
    problems = verify(damaged)
    assert len(problems) == 1
    assert problems[0].startswith(f"b-mirrored: a damaged {variable}")


@pytest.mark.parametrize("variable", VOXELS)
def test_a_missing_file_is_found(damaged: Path, variable: str) -> None:
    shard(damaged, variable, 0).unlink()
    assert verify(damaged) == [f"a: no {variable} of case a"]


def test_reading_a_damaged_case_names_it(damaged: Path) -> None:
    file = shard(damaged, "image", 1)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(LibraryError, match=r"damaged\.zarr: .*a damaged image of case a-mirrored.*anew"):
        open_library(damaged).image(1, "T1w")


def test_a_changed_label_is_found(damaged: Path) -> None:
    dseg = array(damaged, "dseg")
    dseg[2, 10, 10, 10] = 1 + dseg[2, 10, 10, 10] % 13
    assert verify(damaged) == [
        "b: the content is not what was written",
        "b: twin b-mirrored is not the exact mirror image",
    ]


def test_labels_and_shares_that_were_spoilt_later_are_told(damaged: Path) -> None:
    array(damaged, "dseg")[0, 10, 10, 0] = 99
    array(damaged, "tissue_share")[0, 0, 5, 5, 5] = 77
    array(damaged, "preview")[0, 5, 5, 5] = 7
    array(damaged, "image")[2, 1, 5, 5, 5] = np.inf
    problems = "\n".join(verify(damaged))
    for expected in ("a: dseg with code 99", "a: dseg with labels at the faces", "a: tissue shares that sum to 255"):
        assert expected in problems
    assert "a: a preview that is not that of the T1w" in problems
    assert "b: an image that is not finite" in problems


def test_a_twin_that_is_no_mirror_image_is_found(
    write_library: WriteLibrary, make_case: MakeCase, cases: list[LabelledCase], tmp_path: Path
) -> None:
    a, twin, *_ = cases
    other = make_case("x", 5)
    stranger = dataclasses.replace(twin, dseg=other.dseg)
    problems = verify(write_library(tmp_path / "broken.zarr", [a, stranger]))
    assert problems == [
        "a: twin a-mirrored is not the exact mirror image",
        "a-mirrored: twin a is not the exact mirror image",
    ]


def test_a_twin_that_is_not_there_or_does_not_know_is_found(
    write_library: WriteLibrary, cases: list[LabelledCase], tmp_path: Path
) -> None:
    a, twin, b, _ = cases
    problems = verify(write_library(tmp_path / "alone.zarr", [a, dataclasses.replace(twin, twin=""), b]))
    assert problems == [
        "a: twin a-mirrored does not say that it is the twin",
        "b: twin b-mirrored is not in the library",
    ]


def test_a_changed_record_is_found(damaged: Path) -> None:
    array(damaged, "overlap")[1] = 0.5
    assert verify(damaged) == ["the library's digest is not that of its cases"]
