"""An atlas by one registration: a library's mean, the fields that begin there, and what is refused without them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cerebatch.atlas.subject_atlas import SubjectAtlas, make_atlas
from cerebatch.building.mean import make_mean
from cerebatch.errors import LibraryError
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.mean import mean_digest, mean_problems, read_mean, read_to_mean
from cerebatch.library.store import open_library
from cerebatch.library.verify import verify
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import LabelMap, Volume

SHIFTS = {"a": (0, 1, 0), "b": (0, -1, 0), "c": (0, 0, 1)}
"""Voxels of 4 mm by which the phantom lies elsewhere in each case."""


def shown(dseg: LabelMap) -> Volume:
    """Grey matter, brighter white matter, and lobules that differ a little, in fluid."""
    image = np.where(np.isin(dseg, WHITE_MATTER), 250, np.where(dseg > 0, 120 + 3 * (dseg % 13), 20)).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(image, 0.5), dtype=np.float32)


@pytest.fixture(scope="module")
def phantom() -> LabelMap:
    return template_case(4.0)[0]


@pytest.fixture(scope="module")
def library(
    phantom: LabelMap,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The phantom, shifted in each case, and its twins; with a mean."""
    cases = []
    for seed, (name, shift) in enumerate(SHIFTS.items(), start=1):
        dseg = np.roll(phantom, shift, axis=(0, 1, 2))
        case = make_case(name, seed)
        cases += mirrored_pair(replace(case, dseg=dseg, lobules=dseg, image=np.stack([shown(dseg)] * 2)))
    path = write_library(tmp_path_factory.mktemp("mean") / "LIB.zarr", cases)
    make_mean(path, processes=2, tell=lambda _: None)
    return path


@pytest.fixture(scope="module")
def composed(library: Path, phantom: LabelMap) -> SubjectAtlas:
    """Of a scan that no case looks like."""
    return make_atlas(shown(np.roll(phantom, (0, 0, -1), axis=(0, 1, 2))), open_library(library), composed=True)


def inside(phantom: LabelMap) -> np.ndarray:
    return np.asarray(ndimage.binary_erosion(phantom > 0))


def test_fields_lead_from_the_mean_to_where_each_case_lies(library: Path, phantom: LabelMap) -> None:
    cases = open_library(library)
    deep = inside(phantom)
    by = {name: np.median(read_to_mean(cases, cases.names.index(name))[deep], axis=0) for name in SHIFTS}
    # Where the mean lies is its own affair; how the cases lie to each other is not.
    assert by["a"][1] - by["b"][1] == pytest.approx(2, abs=0.4)
    assert by["c"][2] - by["a"][2] == pytest.approx(1, abs=0.4)


def test_the_mean_is_symmetric_and_a_twin_has_the_mirrored_field(library: Path) -> None:
    cases = open_library(library)
    assert np.array_equal(read_mean(cases), read_mean(cases)[::-1])
    own, twin = (read_to_mean(cases, cases.names.index(name)) for name in ("a", cases.twins[cases.names.index("a")]))
    assert np.array_equal(twin[::-1] * (-1, 1, 1), own)


def test_an_atlas_by_one_registration_lies_where_the_scan_does(composed: SubjectAtlas, phantom: LabelMap) -> None:
    truth = np.roll(phantom, (0, 0, -1), axis=(0, 1, 2))
    still = make_dice(phantom, truth)
    assert make_dice(composed.dseg, truth) > 0.75 > still + 0.15


def test_it_is_nearly_the_atlas_of_as_many_registrations_as_cases(
    composed: SubjectAtlas, library: Path, phantom: LabelMap
) -> None:
    by_greedy = make_atlas(shown(np.roll(phantom, (0, 0, -1), axis=(0, 1, 2))), open_library(library))
    assert make_dice(composed.dseg, by_greedy.dseg) > 0.8
    assert composed.cases == by_greedy.cases


def make_dice(one: LabelMap, other: LabelMap) -> float:
    """Share of voxels of the same label, as Dice over all labels."""
    return 2 * float(((one == other) & (one > 0)).sum()) / float((one > 0).sum() + (other > 0).sum())


def test_a_mean_changes_the_digest_of_the_mean_alone(library: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(library, tmp_path / "LIB.zarr"))
    before = open_library(library)
    make_mean(other, processes=2, tell=lambda _: None, persons=["person-1", "person-2"])
    after = open_library(other)
    assert after.digest == before.digest
    assert mean_digest(after.path) != mean_digest(before.path)
    with pytest.raises(LibraryError, match=r"expected the field that brings c onto the mean, found none"):
        read_to_mean(after, after.names.index("c"))


def test_damage_to_a_field_is_found(library: Path, tmp_path: Path) -> None:
    assert mean_problems(open_library(library)) == []
    other = Path(shutil.copytree(library, tmp_path / "LIB.zarr"))
    chunk = next(path for path in sorted((other / "to_mean/c").rglob("*")) if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    (problem,) = mean_problems(open_library(other))
    assert "a field that leads from it is damaged" in problem
    assert problem in verify(other)


def test_without_a_mean_an_atlas_by_it_is_refused_by_name(
    make_case: Callable[..., LabelledCase], write_library: Callable[[Path, list[LabelledCase]], Path], tmp_path: Path
) -> None:
    cases = open_library(write_library(tmp_path / "LIB.zarr", [make_case("a", 1)]))
    with pytest.raises(LibraryError, match=r"LIB\.zarr: expected a library with a mean.*`cerebatch library mean`"):
        make_atlas(cases.image(0, "T1w"), cases, composed=True)
