"""Stamps, records and keys: what tells that a stage is done."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from cerebatch.batch.ledger.records import (
    Failure,
    Record,
    publish,
    read_record,
    stage_key,
    write_model,
)
from cerebatch.io.stamp import FileStamp
from cerebatch.io.temporary import temporary_folder, temporary_name

one_folder_for_all_examples = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

digests = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
stamps = st.builds(FileStamp, size=st.integers(0, 2**50), mtime_ns=st.integers(0, 2**62), sha256=digests)
names = st.text(min_size=1, max_size=10)
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=10)
plain_settings = st.dictionaries(names, plain, max_size=5)
records = st.builds(
    Record,
    stage=names,
    version=st.integers(0, 1000),
    key=digests,
    inputs=st.dictionaries(names, stamps | digests, max_size=4),
    settings=plain_settings,
    outputs=st.dictionaries(names, stamps, max_size=4),
    information=st.dictionaries(names, plain | st.lists(plain, max_size=3), max_size=4),
)

STAMP = FileStamp(size=3, mtime_ns=10**18, sha256="a" * 64)


def written(path: Path, content: str) -> Path:
    """A file with this content; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def done(folder: Path, names: list[str]) -> Record:
    """Record with the key "key" of the files in a folder."""
    outputs = {name: FileStamp.of(folder / name) for name in names}
    return Record(stage="measure", version=1, key="key", inputs={}, settings={}, outputs=outputs)


class TestStamps:
    def test_a_stamp_is_size_time_and_digest_of_the_file(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x", "some bytes")
        os.utime(path, ns=(0, 1_234_567_890_123_456_789))
        assert FileStamp.of(path) == FileStamp(
            size=10, mtime_ns=1_234_567_890_123_456_789, sha256=hashlib.sha256(b"some bytes").hexdigest()
        )

    def test_a_file_of_known_size_and_time_is_not_read_again(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x", "before")
        os.utime(path, ns=(0, 10**18))
        known = FileStamp.of(path)
        path.write_text("behind")  # as long as "before"
        os.utime(path, ns=(0, 10**18))
        assert FileStamp.of(path, known) == known
        assert FileStamp.of(path).sha256 != known.sha256

    def test_a_file_of_another_time_is_read_again(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x", "before")
        os.utime(path, ns=(0, 10**18))
        known = FileStamp.of(path)
        path.write_text("behind")
        os.utime(path, ns=(0, 10**18 + 1))
        assert FileStamp.of(path, known).sha256 == hashlib.sha256(b"behind").hexdigest()

    def test_a_file_of_another_size_is_read_again(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x", "before")
        os.utime(path, ns=(0, 10**18))
        known = FileStamp.of(path)
        path.write_text("before and after")
        os.utime(path, ns=(0, 10**18))
        assert FileStamp.of(path, known).size == 16

    def test_a_file_that_is_gone_does_not_match(self, tmp_path: Path) -> None:
        assert not STAMP.matches(tmp_path / "gone")

    def test_a_file_that_is_gone_has_no_stamp_even_if_one_is_known(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            FileStamp.of(tmp_path / "gone", STAMP)


class TestWritingRecords:
    @given(record=records)
    @one_folder_for_all_examples
    def test_a_record_comes_back_as_it_was_written(self, tmp_path: Path, record: Record) -> None:
        write_model(tmp_path / "record.json", record)
        assert read_record(tmp_path / "record.json") == record

    def test_a_record_is_json_for_people_too(self, tmp_path: Path) -> None:
        failure = Failure(case="sub-01", stage="prepare", kind="StageError", message="é", when="2026-11-22T23:56:08Z")
        write_model(tmp_path / "failure.json", failure)
        text = (tmp_path / "failure.json").read_text(encoding="utf-8")
        assert "é" in text
        assert json.loads(text) == {
            "case": "sub-01", "stage": "prepare", "kind": "StageError", "message": "é", "key": "", "limits": {},
            "when": "2026-11-22T23:56:08Z", "host": "", "fault": "unknown",
        }  # fmt: skip
        assert text.endswith("\n")

    def test_nothing_else_stays_in_the_folder(self, tmp_path: Path) -> None:
        write_model(tmp_path / "deep" / "record.json", done(tmp_path, []))
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["record.json"]

    def test_who_has_the_old_record_open_reads_all_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "record.json"
        write_model(path, done(tmp_path, []))
        before = path.read_text()
        with path.open() as stream:
            write_model(path, done(tmp_path, []).model_copy(update={"key": "another"}))
            assert stream.read() == before
        assert path.read_text() != before

    def test_a_record_that_cannot_be_written_leaves_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "record.json"
        good = done(tmp_path, [])
        write_model(path, good)
        with pytest.raises(ValueError, match="serialize"):
            write_model(path, good.model_copy(update={"information": {"not json": object()}}))
        assert read_record(path) == good
        assert [left.name for left in tmp_path.iterdir()] == ["record.json"]


class TestReadingRecords:
    def test_where_there_is_none(self, tmp_path: Path) -> None:
        assert read_record(tmp_path / "none" / "record.json") is None

    def test_where_a_folder_has_the_name(self, tmp_path: Path) -> None:
        assert read_record(tmp_path) is None

    @given(record=records, fraction=st.floats(0, 1, exclude_max=True))
    @one_folder_for_all_examples
    def test_half_a_record_is_none(self, tmp_path: Path, record: Record, fraction: float) -> None:
        whole = record.model_dump_json(indent=2).encode()
        (tmp_path / "record.json").write_bytes(whole[: int(fraction * len(whole))])
        assert read_record(tmp_path / "record.json") is None

    @given(content=st.binary(max_size=50))
    @one_folder_for_all_examples
    def test_bytes_that_are_no_record_are_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "record.json").write_bytes(content)
        assert read_record(tmp_path / "record.json") is None

    @pytest.mark.parametrize("change", [{"extra": 1}, {"version": "one"}, {"outputs": {"x": "a digest alone"}}])
    def test_a_record_of_another_layout_is_none(self, tmp_path: Path, change: dict[str, Any]) -> None:
        content = done(tmp_path, []).model_dump() | change
        written(tmp_path / "record.json", json.dumps(content))
        assert read_record(tmp_path / "record.json") is None


class TestDone:
    def test_with_the_key_and_untouched_outputs_it_is(self, tmp_path: Path) -> None:
        written(tmp_path / "a.txt", "a")
        written(tmp_path / "figures" / "b.txt", "b")
        assert done(tmp_path, ["a.txt", "figures/b.txt"]).is_done("key", tmp_path)

    def test_with_another_key_it_is_not(self, tmp_path: Path) -> None:
        written(tmp_path / "a.txt", "a")
        assert not done(tmp_path, ["a.txt"]).is_done("another key", tmp_path)

    def test_with_one_output_missing_it_is_not(self, tmp_path: Path) -> None:
        written(tmp_path / "a.txt", "a")
        written(tmp_path / "b.txt", "b")
        record = done(tmp_path, ["a.txt", "b.txt"])
        (tmp_path / "b.txt").unlink()
        assert not record.is_done("key", tmp_path)

    def test_with_an_output_of_another_size_it_is_not(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.txt", "a")
        os.utime(path, ns=(0, 10**18))
        record = done(tmp_path, ["a.txt"])
        path.write_text("aa")
        os.utime(path, ns=(0, 10**18))
        assert not record.is_done("key", tmp_path)

    def test_with_an_output_of_another_time_its_bytes_decide(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.txt", "a")
        record = done(tmp_path, ["a.txt"])
        os.utime(path, ns=(0, 10**18))
        assert record.is_done("key", tmp_path)
        written(path, "b")
        assert not record.is_done("key", tmp_path)

    def test_with_an_output_of_the_same_size_and_time_its_bytes_are_not_read(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.txt", "a")
        record = done(tmp_path, ["a.txt"])
        times = path.stat()
        written(path, "b")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert record.is_done("key", tmp_path)

    def test_with_an_output_that_cannot_be_read_it_is_not(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.txt", "a")
        record = done(tmp_path, ["a.txt"])
        path.unlink()
        path.mkdir()
        assert not record.is_done("key", tmp_path)

    def test_refreshed_it_names_the_times_of_today_and_is_else_the_same(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.txt", "a")
        record = done(tmp_path, ["a.txt"])
        assert record.refreshed(tmp_path) == record
        os.utime(path, ns=(0, 10**18))
        refreshed = record.refreshed(tmp_path)
        assert refreshed is not None
        assert refreshed.outputs["a.txt"] == record.outputs["a.txt"].model_copy(update={"mtime_ns": 10**18})
        assert refreshed.model_copy(update={"outputs": record.outputs}) == record

    def test_in_another_folder_it_is_not(self, tmp_path: Path) -> None:
        written(tmp_path / "a.txt", "a")
        assert not done(tmp_path, ["a.txt"]).is_done("key", tmp_path / "elsewhere")


class TestTemporaryFolders:
    def test_one_is_empty_hidden_and_beside_the_output(self, tmp_path: Path) -> None:
        with temporary_folder(beside=tmp_path / "deep" / "out") as folder:
            assert folder.parent == tmp_path / "deep"
            assert folder.name.startswith(".")
            assert list(folder.iterdir()) == []

    def test_after_success_nothing_is_left(self, tmp_path: Path) -> None:
        with temporary_folder(beside=tmp_path / "out") as folder:
            written(folder / "deep" / "x", "half an output")
        assert list(tmp_path.iterdir()) == []

    def test_after_an_error_nothing_is_left_and_the_error_goes_on(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="in the middle"), temporary_folder(beside=tmp_path / "out") as folder:
            written(folder / "deep" / "x", "half an output")
            raise RuntimeError("in the middle")
        assert list(tmp_path.iterdir()) == []

    def test_two_for_the_same_output_do_not_meet(self, tmp_path: Path) -> None:
        with temporary_folder(tmp_path / "out") as one, temporary_folder(tmp_path / "out") as two:
            assert one != two

    def test_no_two_temporary_names_are_the_same(self, tmp_path: Path) -> None:
        assert len({temporary_name(tmp_path / "out") for _ in range(100)}) == 100


class TestPublishing:
    def test_every_file_moves_to_its_place(self, tmp_path: Path) -> None:
        written(tmp_path / "made" / "a.txt", "a")
        written(tmp_path / "made" / "figures" / "b.txt", "b")
        publish(tmp_path / "made", tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "a"
        assert (tmp_path / "out" / "figures" / "b.txt").read_text() == "b"
        assert [path for path in (tmp_path / "made").rglob("*") if path.is_file()] == []

    def test_the_stamps_are_those_of_the_files_in_their_place(self, tmp_path: Path) -> None:
        written(tmp_path / "made" / "figures" / "b.txt", "b")
        written(tmp_path / "made" / "a.txt", "a")
        found = publish(tmp_path / "made", tmp_path / "out")
        assert found == {name: FileStamp.of(tmp_path / "out" / name) for name in ("a.txt", "figures/b.txt")}

    def test_a_file_is_renamed_and_not_copied(self, tmp_path: Path) -> None:
        inode = written(tmp_path / "made" / "a.txt", "a").stat().st_ino
        publish(tmp_path / "made", tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").stat().st_ino == inode

    def test_who_has_the_old_output_open_reads_all_of_it(self, tmp_path: Path) -> None:
        written(tmp_path / "made" / "a.txt", "new")
        with written(tmp_path / "out" / "a.txt", "old").open() as stream:
            publish(tmp_path / "made", tmp_path / "out")
            assert stream.read() == "old"
        assert (tmp_path / "out" / "a.txt").read_text() == "new"

    def test_other_files_in_the_folder_stay(self, tmp_path: Path) -> None:
        written(tmp_path / "made" / "a.txt", "a")
        written(tmp_path / "out" / "of somebody else.txt", "stays")
        publish(tmp_path / "made", tmp_path / "out")
        assert (tmp_path / "out" / "of somebody else.txt").read_text() == "stays"


class TestKeys:
    @given(chosen=plain_settings, data=st.data())
    @settings(deadline=None)
    def test_the_order_of_settings_and_inputs_does_not_matter(
        self, chosen: dict[str, Any], data: st.DataObject
    ) -> None:
        shuffled = dict(data.draw(st.permutations(list(chosen.items()))))
        one = stage_key("prepare", 1, {"T1w": STAMP, "T2w": "b"}, chosen)
        assert stage_key("prepare", 1, {"T2w": "b", "T1w": STAMP}, shuffled) == one

    @given(first=plain_settings, second=plain_settings)
    @settings(deadline=None)
    def test_two_sets_of_settings_have_the_same_key_only_if_they_are_written_the_same(
        self, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
        assert (stage_key("prepare", 1, {}, first) == stage_key("prepare", 1, {}, second)) == same

    @pytest.mark.parametrize(
        "change",
        [
            {"stage": "segment"},
            {"version": 2},
            {"inputs": {"T1w": STAMP.model_copy(update={"sha256": "b" * 64})}},
            {"inputs": {"T2w": STAMP}},
            {"inputs": {"T1w": STAMP, "T2w": STAMP}},
            {"inputs": {}},
            {"inputs": {"T1w": "key of the stage before"}},
            {"settings": {"resolution": 0.5}},
            {"settings": {"resolution": 1.0, "seed": 1}},
            {"settings": {}},
        ],
        ids=str,
    )
    def test_every_ingredient_changes_the_key(self, change: dict[str, Any]) -> None:
        ingredients: dict[str, Any] = {
            "stage": "prepare",
            "version": 1,
            "inputs": {"T1w": STAMP},
            "settings": {"resolution": 1.0},
        }
        assert stage_key(**(ingredients | change)) != stage_key(**ingredients)

    @given(size=st.integers(0), mtime_ns=st.integers(0))
    @settings(deadline=None)
    def test_a_file_counts_by_its_bytes_and_not_by_its_time(self, size: int, mtime_ns: int) -> None:
        touched = STAMP.model_copy(update={"size": size, "mtime_ns": mtime_ns})
        assert stage_key("prepare", 1, {"T1w": touched}, {}) == stage_key("prepare", 1, {"T1w": STAMP}, {})

    def test_a_key_is_a_sha256_and_the_same_in_every_version_of_cerebatch(self) -> None:
        content = '{"inputs": {"T1w": "%s"}, "settings": {"seed": 1}, "stage": "prepare", "version": 3}' % ("a" * 64)
        expected = hashlib.sha256(content.encode()).hexdigest()
        assert stage_key("prepare", 3, {"T1w": STAMP}, {"seed": 1}) == expected


@pytest.mark.parametrize(
    ("model", "content"),
    [(FileStamp, STAMP.model_dump()), (Failure, {"case": "a", "stage": "b", "kind": "c", "message": "d"})],
)
def test_an_unknown_key_is_refused(model: type[BaseModel], content: dict[str, Any]) -> None:
    model.model_validate(content)
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        model.model_validate(content | {"extra": 1})
