"""Atlases of a library's own cases: who votes, and who must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cerebatch.errors import LibraryError
from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import open_library
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import cerebellum_box, resample_labels
from cerebatch.training.atlases import TrainingAtlases

WriteLibrary = Callable[[Path, list[LabelledCase]], Path]


def people(make_case: Callable[..., LabelledCase], who: dict[str, tuple[str, ...]]) -> list[LabelledCase]:
    """The phantom's cerebellum for everybody; each person has one code for all lobules of the left."""
    dseg, grid = template_case(1.0)
    dseg = resample_labels(dseg, grid, cerebellum_box(4.0), np.eye(4))
    cases: list[LabelledCase] = []
    for code, (person, heads) in enumerate(who.items(), start=1):
        own = np.where(dseg > 0, np.uint8(code), np.uint8(0))
        image = np.stack([np.where(dseg > 0, 150, 30)] * 2).astype(np.float32)
        image += np.random.default_rng(code).normal(0, 3, image.shape).astype(np.float32)
        for head in heads:
            case = make_case(f"{person}_{head}", code)
            case = replace(case, person=person, head=head, image=image, dseg=own, lobules=own)
            cases += mirrored_pair(case)
    return cases


def test_own_person_own_head_and_who_is_left_out_do_not_vote(
    make_case: Callable[..., LabelledCase], write_library: WriteLibrary, tmp_path: Path
) -> None:
    cases = people(make_case, {"a": ("h1", "h2"), "b": ("h1", "h2"), "c": ("h2", "h3")})
    library = open_library(write_library(tmp_path / "LIB.zarr", cases))
    atlases = TrainingAtlases(library, tmp_path / "atlases")
    assert list(atlases.make(1)) == [name for name in library.names if "mirrored" not in name]
    index = library.names.index("a_h1")
    codes = {without: set(np.unique(atlases.read(index, without))) - {0} for without in ("", "b", "c")}
    # Mirrored twins vote as well; their codes are those of the right.
    assert {(code - 1) % 13 + 1 for code in codes[""]} <= {2, 3}
    assert {(code - 1) % 13 + 1 for code in codes["b"]} == {3}
    assert {(code - 1) % 13 + 1 for code in codes["c"]} == {2}
    before = (tmp_path / "atlases/a_h1.npz").stat().st_mtime_ns
    assert list(atlases.make(1)) == []
    assert (tmp_path / "atlases/a_h1.npz").stat().st_mtime_ns == before


def test_a_library_that_is_too_small_is_refused(
    make_case: Callable[..., LabelledCase], write_library: WriteLibrary, tmp_path: Path
) -> None:
    library = open_library(write_library(tmp_path / "LIB.zarr", people(make_case, {"a": ("h1",), "b": ("h2",)})))
    with pytest.raises(LibraryError, match="at least three people in two heads"):
        list(TrainingAtlases(library, tmp_path / "atlases").make(1))
