"""Files and folders that appear all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebatch.io.atomic import folder_made_whole, write_text, written_whole
from cerebatch.io.temporary import temporary_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestAFile:
    def test_it_is_there_when_the_block_ends_and_not_before(self, tmp_path: Path) -> None:
        with written_whole(tmp_path / "deep/out.txt") as unfinished:
            unfinished.write_text("new")
            assert not (tmp_path / "deep/out.txt").exists()
        assert (tmp_path / "deep/out.txt").read_text() == "new"
        assert names(tmp_path / "deep") == ["out.txt"]

    def test_when_the_block_raises_the_old_one_stays_alone(self, tmp_path: Path) -> None:
        write_text(tmp_path / "out.txt", "old")
        with pytest.raises(RuntimeError, match="in the middle"), written_whole(tmp_path / "out.txt") as unfinished:
            unfinished.write_text("ne")
            raise RuntimeError("in the middle")
        assert (tmp_path / "out.txt").read_text() == "old"
        assert names(tmp_path) == ["out.txt"]

    def test_text_is_utf_8(self, tmp_path: Path) -> None:
        write_text(tmp_path / "out.txt", "cm³")
        assert (tmp_path / "out.txt").read_bytes() == b"cm\xc2\xb3"


class TestAFolder:
    def test_it_is_there_when_the_block_ends_and_not_before(self, tmp_path: Path) -> None:
        with folder_made_whole(tmp_path / "deep/out.zarr") as made:
            assert made.name == "out.zarr"
            made.mkdir()
            (made / "zarr.json").write_text("{}")
            assert not (tmp_path / "deep/out.zarr").exists()
        assert names(tmp_path / "deep/out.zarr") == ["zarr.json"]
        assert names(tmp_path / "deep") == ["out.zarr"]

    def test_when_the_block_raises_nothing_is_left(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="in the middle"), folder_made_whole(tmp_path / "out.zarr") as made:
            made.mkdir()
            raise RuntimeError("in the middle")
        assert names(tmp_path) == []


def test_a_temporary_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with temporary_folder(beside=tmp_path / "deep/out") as folder:
        (folder / "x").write_text("x")
        assert folder.parent == tmp_path / "deep"
    assert names(tmp_path / "deep") == []
