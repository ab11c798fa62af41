"""Writing a library: by several processes, with stops, and never anything unfit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebatch.errors import LibraryError
from cerebatch.library import writing
from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import open_library
from cerebatch.library.tissues import TISSUES
from cerebatch.library.verify import verify
from cerebatch.spatial import space

GRID = space.cerebellum_box(4.0)
NAMES = ("a", "a-mirrored", "b", "b-mirrored")

MakeCase = Callable[..., LabelledCase]
Change = Callable[[LabelledCase], LabelledCase]


def create(path: Path, names: tuple[str, ...] = NAMES, resolution: float = 4.0) -> Path:
    writing.create(path, names, resolution, seed=7, licence="CC0")
    return path


def test_a_case_of_1_mm_is_written_and_found_sound(make_case: MakeCase, tmp_path: Path) -> None:
    shape = space.cerebellum_box(1.0).shape
    small = make_case("one")
    image = np.random.default_rng(4).uniform(0, 500, (2, *shape)).astype(np.float32)
    tissue = np.zeros((len(TISSUES), *shape), dtype=np.uint8)
    dseg = np.pad(small.dseg, [(10, shape[0] - 46), (10, shape[1] - 34), (10, shape[2] - 34)])
    case = dataclasses.replace(small, rendered=False, image=image, tissue=tissue, dseg=dseg, lobules=dseg)
    path = create(tmp_path / "one.zarr", ("one", "one-mirrored"), 1.0)
    for index, twin in enumerate(mirrored_pair(case)):
        writing.write_case(path, index, twin)
    writing.finish(path)
    assert verify(path) == []
    assert open_library(path).previews().shape == (2, 72, 48, 48)


def test_two_processes_write_at_once(cases: list[LabelledCase], tmp_path: Path, finished: Path) -> None:
    path = create(tmp_path / "parallel.zarr")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(writing.write_case, path, index, case) for index, case in enumerate(cases) for _ in "12"]
        for job in jobs:
            job.result()
    writing.finish(path)
    assert verify(path) == []
    assert open_library(path).digest == open_library(finished).digest


def test_a_stopped_build_goes_on(
    cases: list[LabelledCase], tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> str:
        raise KeyboardInterrupt

    path = create(tmp_path / "stopped.zarr")
    writing.write_case(path, 2, cases[2])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(writing, "voxels_sha256", stop)  # all voxels are written by then
        writing.write_case(path, 0, cases[0])
    assert writing.written(path) == {"b"} == writing.resume(path, NAMES, 4.0)
    with pytest.raises(LibraryError, match=r"3 not written: a, a-mirrored, b-mirrored\. Run the same build again"):
        writing.finish(path)
    for index in (0, 1, 3):
        writing.write_case(path, index, cases[index])
    writing.finish(path)
    assert writing.written(path) == set(NAMES)
    assert open_library(path).digest == open_library(finished).digest


def test_a_case_whose_rewriting_was_stopped_counts_as_unwritten(
    cases: list[LabelledCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> str:
        raise KeyboardInterrupt

    path = create(tmp_path / "rewritten.zarr")
    writing.write_case(path, 0, cases[0])
    monkeypatch.setattr(writing, "voxels_sha256", stop)
    with pytest.raises(KeyboardInterrupt):
        writing.write_case(path, 0, cases[0])
    monkeypatch.undo()
    assert writing.written(path) == set()


@pytest.mark.parametrize("step", ["_write_region", "library_digest"])
def test_finishing_can_be_stopped_and_done_again(
    cases: list[LabelledCase], tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    path = create(tmp_path / "half.zarr")
    for index, case in enumerate(cases):
        writing.write_case(path, index, case)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(writing, step, stop)
        writing.finish(path)
    with pytest.raises(LibraryError, match="expected a finished library, found 4 of 4 cases"):
        open_library(path)
    assert writing.finish(path) == writing.finish(path) == open_library(finished).digest
    assert verify(path) == []


def test_finishing_leaves_nothing_of_the_build_behind(make_case: MakeCase, tmp_path: Path) -> None:
    path = create(tmp_path / "clean.zarr", ("a",))
    writing.write_case(path, 0, make_case("a"))
    (path / "dseg" / "c" / "0" / "0" / "0" / "0.killed.partial").write_bytes(b"half")
    writing.finish(path)
    assert not (path / "building").exists()
    assert not list(path.rglob("*.partial"))


def test_an_existing_path_is_not_overwritten(finished: Path) -> None:
    with pytest.raises(LibraryError, match=r"cases\.zarr: expected a new folder.*another name"):
        create(finished)


@pytest.mark.parametrize("names", [(), ("a", "b", "a"), ("a", "")])
def test_cases_without_a_name_of_their_own_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(LibraryError, match="each different"):
        create(tmp_path / "new.zarr", names)
    assert not (tmp_path / "new.zarr").exists()


def changed(**changes: Any) -> Change:
    return lambda case: dataclasses.replace(case, **changes)


def with_voxel(variable: str, where: tuple[int, ...], value: float) -> Change:
    def of(case: LabelledCase) -> LabelledCase:
        values = getattr(case, variable).copy()
        values[where] = value
        return dataclasses.replace(case, **{variable: values})

    return of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_voxel("dseg", (5, 5, 5), 27), "dseg with code 27, outside the protocol"),
        (with_voxel("lobules", (5, 5, 5), 200), "lobules with code 200"),
        (with_voxel("dseg", (0, 9, 9), 1), "dseg with labels at the faces"),
        (with_voxel("dseg", (9, 23, 9), 1), "dseg with labels at the faces"),
        (with_voxel("lobules", (9, 9, 23), 1), "lobules with labels at the faces"),
        (with_voxel("image", (1, 3, 3, 3), np.nan), "image that is not finite"),
        (with_voxel("image", (0, 3, 3, 3), 1e6), "too bright for float16"),
        (with_voxel("tissue", (4, 3, 3, 3), 90), "tissue shares that sum to 255 to 345"),
        (changed(rendered=False), "tissue shares in a real scan"),
        (changed(dseg=np.zeros((36, 24, 23), np.uint8)), r"dseg of shape \(36, 24, 23\) instead of \(36, 24, 24\)"),
        (changed(image=np.zeros(GRID.shape, np.float32)), "image of shape"),
        (changed(tissue=np.zeros((7, *GRID.shape), np.uint8)), "tissue_share of shape"),
        (changed(lobules=np.zeros(GRID.shape)), "lobules of type float64 instead of uint8"),
    ],
)
def test_an_unfit_case_is_refused_by_name(
    make_case: MakeCase, tmp_path: Path, change: Change, message: str, recwarn: pytest.WarningsRecorder
) -> None:
    path = create(tmp_path / "strict.zarr", ("a",))
    with pytest.raises(LibraryError, match=rf"strict\.zarr: .*found case a: .*{message}"):
        writing.write_case(path, 0, change(make_case("a")))
    assert writing.written(path) == set()
    assert not recwarn.list


def test_a_case_in_the_place_of_another_is_refused(make_case: MakeCase, tmp_path: Path) -> None:
    path = create(tmp_path / "ordered.zarr")
    for index, expected in [(2, "case b"), (4, "an index below 4"), (-4, "an index below 4")]:
        with pytest.raises(LibraryError, match=f"expected {expected}, found case a for index {index}"):
            writing.write_case(path, index, make_case("a"))


def test_a_finished_library_takes_no_more_cases(cases: list[LabelledCase], finished: Path) -> None:
    with pytest.raises(LibraryError, match="expected an unfinished library"):
        writing.write_case(finished, 0, cases[0])
    with pytest.raises(LibraryError, match="expected an unfinished library"):
        writing.resume(finished, NAMES, 4.0)


@pytest.mark.parametrize(
    ("names", "resolution"), [(NAMES[:3], 4.0), ((*NAMES, "c"), 4.0), (NAMES[::-1], 4.0), (NAMES, 1.0)]
)
def test_a_build_of_other_cases_does_not_go_on(tmp_path: Path, names: tuple[str, ...], resolution: float) -> None:
    path = create(tmp_path / "begun.zarr")
    with pytest.raises(LibraryError, match="expected an unfinished build of the same"):
        writing.resume(path, names, resolution)
