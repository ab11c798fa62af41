"""Libraries of labelled cases of noise, small enough to be made anew for a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cerebatch.library.case import LabelledCase, mirrored_pair

MakeCase = Callable[..., LabelledCase]
WriteLibrary = Callable[[Path, list[LabelledCase]], Path]


@pytest.fixture(scope="session")
def cases(make_case: MakeCase) -> list[LabelledCase]:
    """Two cases and their twins: a, a-mirrored, b, b-mirrored; not to be changed."""
    return [*mirrored_pair(make_case("a", 1)), *mirrored_pair(make_case("b", 2))]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, write_library: WriteLibrary, cases: list[LabelledCase]) -> Path:
    """A library of `cases`; not to be changed."""
    return write_library(tmp_path_factory.mktemp("library") / "cases.zarr", cases)


@pytest.fixture
def damaged(finished: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(finished, tmp_path / "damaged.zarr"))
