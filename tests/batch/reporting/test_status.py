"""What `cerebatch status` tells from records alone."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger import lease as leases
from cerebatch.batch.ledger.lease import Lease
from cerebatch.batch.ledger.manifest import End, Manifest, begin, finish, manifest_path
from cerebatch.batch.ledger.records import Failure, read_record, write_model
from cerebatch.batch.reporting.status import Status, gather
from cerebatch.cli.main import app
from cerebatch.errors import DatasetError
from cerebatch.io.process import this_process
from cerebatch.timing import Step

STAGES = ["draw", "count"]
NOBODY = 2**22 + 1
"""A pid above the largest of Linux."""


@dataclasses.dataclass(frozen=True)
class SmallJob(Job):
    """Draws a file, and counts its letters."""

    settings: int = 0

    def needs(self) -> dict[str, Needs]:
        """The same for both."""
        return {stage: Needs() for stage in STAGES}

    def plan(self) -> list[Stage]:
        """The drawing is intermediate, the count stays."""
        drawn = Stage("draw", 1, {}, {"settings": self.settings}, self.scratch / "draw", self._draw)
        stays = self.out_dir / self.name
        return [drawn, Stage("count", 1, {"draw": drawn.key}, {}, stays, lambda out: self._count(drawn.folder, out))]

    def _draw(self, folder: Path) -> list[Step]:
        (folder / "drawing").write_text("drawing of " + self.name)
        return [Step("pen", 1.0, 20.0), Step("ink", 1.0, 30.0)]

    def _count(self, drawing: Path, folder: Path) -> list[Step]:
        (folder / "count").write_text(str(len((drawing / "drawing").read_text())))
        return [Step("count", 1.0, None)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Folder of a run."""
    return tmp_path / "out"


def job(out: Path, name: str, settings: int = 0) -> SmallJob:
    return SmallJob(name, out, out / "work", settings=settings)


def carry(out: Path, name: str, *stages: str, settings: int = 0) -> SmallJob:
    """A case that was carried through these stages."""
    case = job(out, name, settings)
    for stage in stages:
        assert advance(Call(case, stage, Needs()), lambda event: None).ran == stage
    return case


def expect(out: Path, *cases: str, **about: object) -> Manifest:
    """A run that set out to do these cases; its driver is gone."""
    driver = this_process().model_dump() | {"pid": NOBODY}
    manifest = Manifest.model_validate(driver | {"profile": "serial", "stages": STAGES, "cases": cases} | about)
    begin(out, manifest)
    return manifest


def hold(case: SmallJob, run: str, stage: str, age: float = 0.0) -> None:
    """The lease of a case, renewed so many seconds ago, of 120 s."""
    assert leases.take(case.lease_path, Lease(run=run, host="node1", pid=5, stage=stage, started=True)) is None
    then = time.time() - age
    os.utime(case.lease_path, (then, then))


def fail(case: SmallJob, stage: str, kind: str = "Killed", message: str = "took too much memory") -> None:
    write_model(case.failure_path, Failure(case=case.name, stage=stage, kind=kind, message=message, key="k"))


def set_times(case: SmallJob, **seconds: float) -> None:
    """Rewrite what the stages of a case took, as if they had taken so long; their records stay as old as they are."""
    for stage, took in seconds.items():
        path = case.record_path(stage)
        record, then = read_record(path), path.stat().st_mtime_ns
        assert record is not None
        write_model(path, record.model_copy(update={"information": record.information | {"seconds": took}}))
        os.utime(path, ns=(then, then))


def flip_a_byte(path: Path) -> None:
    """Size and time stay."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def command(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


class TestRecords:
    def test_a_record_names_the_folder_of_its_outputs_from_out_dir_or_in_full(self, out: Path, tmp_path: Path) -> None:
        case = dataclasses.replace(job(out, "a"), work_dir=tmp_path / "elsewhere", keep_work=True)
        folders = {}
        for name in STAGES:
            advance(Call(case, name, Needs()), lambda event: None)
            record = read_record(case.record_path(name))
            assert record is not None
            folders[name] = record.folder
        assert folders == {"draw": str(tmp_path / "elsewhere/a/draw"), "count": "a"}


class TestCases:
    def test_a_case_is_done_when_its_last_stage_is_though_the_work_is_gone(self, out: Path) -> None:
        expect(out, "a")
        assert not carry(out, "a", "draw", "count").scratch.exists()
        status = gather(out)
        assert (status.states, status.seconds_left) == ({"a": "done"}, 0.0)
        assert [one.done for one in status.stages] == [1, 1]

    def test_a_case_whose_output_is_gone_waits(self, out: Path) -> None:
        expect(out, "a")
        carry(out, "a", "draw", "count")
        (out / "a/count").unlink()
        assert gather(out).states == {"a": "waiting"}

    def test_a_moved_folder_is_still_done(self, out: Path, tmp_path: Path) -> None:
        expect(out, "a")
        carry(out, "a", "draw", "count")
        assert gather(out.rename(tmp_path / "moved")).states == {"a": "done"}

    @pytest.mark.parametrize(("ran", "done", "to_do"), [([], [0, 0], [1, 1]), (["draw"], [1, 0], [0, 1])])
    def test_a_case_waits_for_the_stages_that_are_left(
        self, out: Path, ran: list[str], done: list[int], to_do: list[int]
    ) -> None:
        expect(out, "a")
        carry(out, "a", *ran)
        status = gather(out)
        assert status.states == {"a": "waiting"}
        assert ([one.done for one in status.stages], [one.to_do for one in status.stages]) == (done, to_do)

    def test_a_case_with_a_fresh_lease_is_at_work(self, out: Path) -> None:
        run = expect(out, "a").run
        hold(carry(out, "a", "draw"), run, "count")
        status = gather(out)
        lease = status.at_work["a"]
        assert status.states == {"a": "at_work"}
        assert (lease.run, lease.host, lease.pid, lease.stage) == (run, "node1", 5, "count")
        assert [(one.done, one.at_work) for one in status.stages] == [(1, 0), (0, 1)]

    def test_a_lease_that_was_not_renewed_counts_for_nothing(self, out: Path) -> None:
        run = expect(out, "a").run
        hold(job(out, "a"), run, "draw", age=121)
        status = gather(out)
        assert (status.states, status.at_work) == ({"a": "waiting"}, {})

    @pytest.mark.parametrize("told", ["", "draw"])
    def test_a_case_that_came_further_since_its_lease_was_renewed_is_at_the_next_stage(
        self, out: Path, told: str
    ) -> None:
        run = expect(out, "a").run
        hold(job(out, "a"), run, told, age=20)
        carry(out, "a", "draw")
        assert gather(out).at_work["a"].stage == "count"

    def test_a_done_case_that_is_made_again_is_at_work_in_its_first_stage(self, out: Path) -> None:
        run = expect(out, "a").run
        hold(carry(out, "a", "draw", "count"), run, "draw")
        status = gather(out)
        assert status.states == {"a": "at_work"}
        assert [(one.done, one.to_do) for one in status.stages] == [(0, 1), (0, 1)]

    def test_a_failed_case_tells_why(self, out: Path) -> None:
        expect(out, "a", "b", "c")
        fail(carry(out, "a", "draw"), "count")
        fail(job(out, "b"), "draw", "ScanError", "no head")
        fail(job(out, "c"), "draw")
        status = gather(out)
        assert set(status.states.values()) == {"failed"}
        assert [(one.case, one.stage) for one in status.failed] == [("a", "count"), ("b", "draw"), ("c", "draw")]
        assert list(status.failed_by_kind.items()) == [("Killed", 2), ("ScanError", 1)]
        assert [(one.done, one.failed) for one in status.stages] == [(1, 2), (0, 1)]

    def test_a_failed_case_that_is_tried_again_is_at_work(self, out: Path) -> None:
        run = expect(out, "a").run
        case = job(out, "a")
        fail(case, "draw")
        hold(case, run, "draw")
        status = gather(out)
        assert (status.states, status.failed) == ({"a": "at_work"}, [])

    def test_a_failure_counts_until_its_stage_was_finished_later(self, out: Path) -> None:
        expect(out, "a", "b")
        fail(job(out, "a"), "draw")
        b = carry(out, "b", "draw", "count")
        time.sleep(0.02)
        carry(out, "a", "draw", settings=1)
        fail(b, "draw")
        assert gather(out).states == {"a": "waiting", "b": "failed"}

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '{"stage": 1}', "\xff"])
    def test_a_broken_file_counts_as_missing(self, out: Path, content: str) -> None:
        run = expect(out, "a", "b").run
        case = carry(out, "a", "draw", "count")
        hold(case, run, "draw")
        for path in (case.record_path("count"), case.lease_path, case.failure_path):
            path.write_text(content, encoding="latin-1")
        manifest_path(out, "29990101T000000Z-broken").write_text(content, encoding="latin-1")
        status = gather(out)
        assert status.states == {"a": "waiting", "b": "waiting"}
        assert len(status.runs) == 1

    def test_looking_leaves_the_folder_as_it_was(self, out: Path) -> None:
        expect(out, "a")
        carry(out, "a", "draw", "count")
        before = sorted(out.rglob("*"))
        gather(out, verify=True)
        assert sorted(out.rglob("*")) == before


class TestRuns:
    def test_cases_of_all_runs_are_expected_with_the_stages_of_the_latest(self, out: Path) -> None:
        expect(out, "a", "b", run="20260101T000000Z-1")
        expect(out, "b", "c", run="20260102T000000Z-2", stages=["draw"])
        for name in ("a", "b", "c"):
            carry(out, name, "draw")
        assert gather(out).states == {"a": "waiting", "b": "done", "c": "done"}

    def test_what_no_run_took_for_a_case_was_left_out(self, out: Path) -> None:
        expect(out, "a", left_out={"b": "no T1w", "c": "two T1w"}, run="1")
        expect(out, "b", left_out={}, run="2")
        assert gather(out).left_out == {"c": "two T1w"}

    def test_a_run_tells_how_it_ended(self, out: Path) -> None:
        expect(out, "a", "b", run="1")
        expect(out, "a", run="2")
        finish(out, "1", End(how="interrupted", done=1, handed_back=1))
        finish(out, "2", End(how="finished", skipped=1))
        runs = gather(out).runs
        assert [(one.run, one.how, one.cases) for one in runs] == [("1", "interrupted", 2), ("2", "finished", 1)]
        assert runs[0].counts == {"done": 1, "skipped": 0, "failed": 0, "elsewhere": 0, "handed_back": 1}

    def test_a_run_without_end_runs_if_it_has_a_fresh_lease_and_was_killed_otherwise(self, out: Path) -> None:
        hold(job(out, "a"), expect(out, "a", run="1").run, "draw", age=121)
        hold(job(out, "b"), expect(out, "b", run="2").run, "draw")
        assert [one.how for one in gather(out).runs] == ["was killed", "runs"]

    def test_a_run_that_has_taken_no_case_yet_runs_if_its_driver_is_a_process_here(self, out: Path) -> None:
        expect(out, "a", pid=os.getpid())
        assert [one.how for one in gather(out).runs] == ["runs"]

    @pytest.mark.parametrize("about", [{"host": "elsewhere"}, {"born": "1"}, {"boot": "another"}])
    def test_another_process_of_that_number_is_not_the_driver(self, out: Path, about: dict[str, str]) -> None:
        expect(out, "a", pid=os.getpid(), **about)
        assert [one.how for one in gather(out).runs] == ["was killed"]


class TestTimes:
    def test_a_stage_tells_mean_and_largest_seconds_and_peak_memory(self, out: Path) -> None:
        expect(out, "a", "b")
        set_times(carry(out, "a", "draw", "count"), draw=10.0, count=1.0)
        set_times(carry(out, "b", "draw"), draw=30.0)
        drawn, counted = gather(out).stages
        assert (drawn.timed, drawn.mean_seconds, drawn.largest_seconds, drawn.peak_mb) == (2, 20.0, 30.0, 30.0)
        assert (counted.timed, counted.mean_seconds, counted.peak_mb) == (1, 1.0, None)

    def test_time_left_is_the_stages_to_do_over_the_cases_at_work(self, out: Path) -> None:
        run = expect(out, "a", "b", "c", "d", "e").run
        set_times(carry(out, "a", "draw", "count"), draw=100.0, count=10.0)
        for name in ("b", "c"):
            hold(job(out, name), run, "draw")
        fail(job(out, "d"), "draw")
        # b, c and e have both stages to do; d failed and will not be tried
        assert gather(out).seconds_left == pytest.approx(3 * 110.0 / 2)

    def test_time_left_is_not_known_when_nothing_is_at_work(self, out: Path) -> None:
        expect(out, "a", "b")
        carry(out, "a", "draw", "count")
        status = gather(out)
        assert (status.seconds_left, status.no_time_because) == (None, "nothing is at work")
        assert "nothing is at work" in command(out)[1]

    def test_time_left_is_not_known_before_every_stage_was_finished_once(self, out: Path) -> None:
        hold(carry(out, "a", "draw"), expect(out, "a").run, "count")
        status = gather(out)
        assert (status.seconds_left, status.no_time_because) == (None, "not one case has finished count yet")


class TestVerify:
    def test_one_flipped_byte_is_found_and_only_by_verify(self, out: Path) -> None:
        expect(out, "a", "b")
        for name in ("a", "b"):
            carry(out, name, "draw", "count")
        code, text = command(out, "--verify")
        assert (code, text.splitlines()[-1]) == (0, "every output that was read is as it was written")
        flip_a_byte(out / "b/count")
        assert gather(out).states == {"a": "done", "b": "done"}
        status = gather(out, verify=True)
        assert status.states == {"a": "done", "b": "changed"}
        assert [(one.case, one.stage, one.path) for one in status.changed] == [("b", "count", str(out / "b/count"))]
        assert command(out)[0] == 0
        code, text = command(out, "--verify", "--json")
        assert (code, json.loads(text)["changed"][0]["case"]) == (1, "b")
        code, text = command(out, "--verify")
        assert (code, str(out / "b/count") in text) == (1, True)

    def test_the_outputs_that_a_case_has_come_to_are_read_too(self, out: Path) -> None:
        expect(out, "a")
        flip_a_byte(carry(out, "a", "draw").scratch / "draw/drawing")
        assert [one.stage for one in gather(out, verify=True).changed] == ["draw"]

    def test_other_bytes_of_another_time_are_found_too(self, out: Path) -> None:
        expect(out, "a")
        carry(out, "a", "draw", "count")
        (out / "a/count").write_text("made up")
        assert gather(out, verify=True).states == {"a": "changed"}

    def test_a_case_at_work_is_left_alone(self, out: Path) -> None:
        run = expect(out, "a").run
        hold(carry(out, "a", "draw", "count"), run, "count")
        flip_a_byte(out / "a/count")
        assert gather(out, verify=True).changed == []


class TestCommand:
    @pytest.fixture
    def run(self, out: Path) -> str:
        """One case of each state."""
        run = expect(out, "done", "at-work", "waiting", "failed", left_out={"odd": "no T1w"}).run
        set_times(carry(out, "done", "draw", "count"), draw=7200.0, count=60.0)
        hold(carry(out, "at-work", "draw"), run, "count")
        fail(job(out, "failed"), "draw", message="took\n  too [bold]much" + " memory" * 40)
        return run

    def test_the_text_is_aligned_and_has_no_colours(self, out: Path, run: str) -> None:
        text = command(out)[1]
        assert "4 cases: 1 done, 1 at work, 1 waiting, 1 failed; 1 left out before they began\n" in text
        assert "\x1b" not in text
        header, draw, count = text[text.index("\nstage  ") + 1 :].splitlines()[:3]
        assert len(header) == len(draw) == len(count)
        assert draw.split()[:5] == ["draw", "2", "0", "1", "1"]
        assert run in text

    def test_failed_cases_are_one_line_each_after_their_kinds(self, out: Path, run: str) -> None:
        code, text = command(out, "--failed")
        lines = text.splitlines()
        assert code == 0
        assert lines[1:3] == ["cases  failed by", "1      Killed"]
        assert lines[4].split()[:3] == ["failed", "draw", "Killed"]
        assert lines[4].endswith("took too [bold]much" + " memory" * 40)
        assert len(lines) == 5

    def test_no_failed_case_is_said_in_words(self, out: Path) -> None:
        expect(out, "a")
        assert command(out, "--failed") == (0, "no case failed\n")

    def test_json_has_the_keys_of_the_docstring(self, out: Path, run: str) -> None:
        told = json.loads(command(out, "--json")[1])
        assert list(told) == [field.name for field in dataclasses.fields(Status)]
        assert told["counts"] == {"expected": 4, "done": 1, "at_work": 1, "waiting": 1, "failed": 1, "changed": 0}
        assert told["states"] == {"done": "done", "at-work": "at_work", "waiting": "waiting", "failed": "failed"}
        assert " ".join(told["stages"][0]) == (
            "name done at_work failed to_do timed mean_seconds largest_seconds peak_mb"
        )
        assert " ".join(told["at_work"]["at-work"]) == ("host pid boot namespace born run stage started taken seconds")
        assert " ".join(told["failed"][0]) == "case stage kind message key limits host fault when"
        assert " ".join(told["runs"][0]) == "run began host pid profile cases how ended counts"
        assert told["left_out"] == {"odd": "no T1w"}

    @pytest.mark.parametrize("make", [lambda out: None, Path.mkdir, Path.touch])
    def test_a_folder_without_records_is_refused(self, out: Path, make: Callable[[Path], None]) -> None:
        make(out)
        with pytest.raises(DatasetError, match=r"with records of its runs, found .* Give the OUT_DIR of a run"):
            gather(out)

    def test_a_folder_whose_manifests_are_all_broken_is_refused(self, out: Path) -> None:
        manifest_path(out, expect(out, "a").run).write_text("{")
        with pytest.raises(DatasetError, match="nothing that can be read"):
            gather(out)

    def test_terminals_get_tables(self, out: Path, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "│" in command(out)[1]
