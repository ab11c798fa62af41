"""A library that nobody gave the path of: where it is looked for, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cerebatch.batch.kept_library import choose_library, keep_library, words
from cerebatch.cli.augment import _three
from cerebatch.errors import InputError, LibraryError, SettingsError
from cerebatch.library import writing
from cerebatch.library.case import LabelledCase
from cerebatch.library.found import find_library, library_in, user_folder
from cerebatch.training.train import read_config

Write = Callable[[Path, list[LabelledCase]], Path]
Make = Callable[..., LabelledCase]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture
def library(tmp_path: Path, make_case: Make, write_library: Write) -> Path:
    """A library of 4 mm."""
    return write_library(tmp_path / "LIB.zarr", [make_case("a", 1)])


@pytest.fixture
def mine(make_case: Make, write_library: Write, at_home: None) -> Path:
    """Another, in the user's folder."""
    path = library_in(user_folder(), 4.0)
    path.parent.mkdir(parents=True)
    return write_library(path, [make_case("b", 2)])


def test_without_any_there_is_none() -> None:
    assert find_library(4.0) is None
    assert "none" in words(None)


def test_the_variable_goes_before_the_users_folder(library: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_library(4.0)
    assert found is not None
    assert found.path == mine
    monkeypatch.setenv("CEREBATCH_LIBRARY", str(library))
    found = find_library(4.0)
    assert found is not None
    assert found.path == library
    assert "found by CEREBATCH_LIBRARY" in words(found)
    assert "better in one of three" in words(found)


def test_the_variable_may_name_the_folder_of_a_fetch(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBATCH_LIBRARY", str(mine.parent))
    found = find_library(4.0)
    assert found is not None
    assert found.path == mine


def test_a_library_of_another_grid_is_refused_with_the_way_out(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBATCH_LIBRARY", str(library))
    with pytest.raises(LibraryError, match=r"expected a library of 1\.0 mm, found one of 4\.0 mm.*--no-library"):
        find_library(1.0)


def test_a_variable_that_names_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBATCH_LIBRARY", str(tmp_path / "none.zarr"))
    with pytest.raises(LibraryError, match=r"for CEREBATCH_LIBRARY names it, found no such folder"):
        find_library(4.0)


def test_an_unfinished_library_in_the_users_folder_is_none(make_case: Make) -> None:
    path = library_in(user_folder(), 4.0)
    writing.create(path, ["a"], 4.0, seed=7, licence="CC0")
    assert find_library(4.0) is None


def test_a_folder_of_results_keeps_the_library_it_was_begun_with(
    library: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    keep_library(out, choose_library(out, library, False, 4.0))
    found = choose_library(out, None, False, 4.0)
    assert found is not None
    assert found.path == library  # and not the one that is found
    assert choose_library(out, None, True, 4.0) is None


def test_a_folder_begun_without_goes_on_without(mine: Path, tmp_path: Path) -> None:
    keep_library(tmp_path / "out", None)
    assert choose_library(tmp_path / "out", None, False, 4.0) is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file: expected a folder that can be written, found Not a directory"):
        keep_library(tmp_path / "file", None)


def test_results_of_an_older_version_without_atlases_go_on_without(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "records/cases/sub-1").mkdir(parents=True)
    (tmp_path / "records/cases/sub-1/prepare.json").write_text("{}")
    assert choose_library(tmp_path, None, False, 4.0) is None


def test_a_library_that_changed_since_is_told(
    library: Path, tmp_path: Path, make_case: Make, write_library: Write
) -> None:
    out = tmp_path / "out"
    keep_library(out, choose_library(out, library, False, 4.0))
    library.rename(tmp_path / "away.zarr")
    with pytest.raises(LibraryError, match=r"which its results were begun with, found no such folder.*--no-library"):
        choose_library(out, None, False, 4.0)
    write_library(library, [make_case("c", 3)])
    with pytest.raises(LibraryError, match="found one of digest"):
        choose_library(out, None, False, 4.0)


def test_a_training_takes_the_library_that_is_found(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch, make_case: Make, write_library: Write
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("steps: 1\natlases: atlases\narchitecture: dpn\ntask: lobules\n")
    with pytest.raises(SettingsError, match=r"`library`: expected the path of a library of 1 mm.*found none"):
        read_config(config)
    from cerebatch.library import found

    path = library_in(user_folder(), 1.0)
    path.parent.mkdir(parents=True)
    library.rename(path)
    monkeypatch.setattr(found, "require_resolution", lambda *given: None)  # the library is one of 4 mm
    assert read_config(config).library == path  # type: ignore[attr-defined]


def test_augment_takes_two_paths_where_a_library_is_found(tmp_path: Path) -> None:
    assert _three([Path("a"), Path("b"), Path("c")]) == (Path("a"), Path("b"), Path("c"))
    with pytest.raises(SettingsError, match="expected a library before the targets"):
        _three([Path("b"), Path("c")])
