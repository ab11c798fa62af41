"""One stage of one case at a time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.advance import Call, Progress, advance
from cerebatch.batch.job import Job, Needs
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.ledger.records import DISK_FULL, Failure, read_record, write_model
from cerebatch.io.process import node_name


def call(job: Job, stage: str, **more: Any) -> Progress:
    """Ask for a stage, hear no events."""
    return advance(Call(job, stage, job.needs()[stage], **more), lambda event: None)


def carried(job: Job) -> list[str]:
    """Run a case to its end; what ran."""
    ran, stage = [], next(iter(job.needs()))
    while stage:
        progress = call(job, stage)
        assert progress.failure is None
        ran += [progress.ran] if progress.ran else []
        stage = progress.next
    return ran


def starts(job: Job) -> list[str]:
    """What really ran, from the log of starts."""
    log = job.out_dir / "starts.log"
    return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []


class TestTheWayOfACase:
    def test_a_stage_runs_and_the_next_is_named(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        progress = call(job, "prepare")
        assert (progress.ran, progress.next, progress.failure) == ("prepare", "atlas", None)
        assert starts(job) == ["prepare"]

    def test_only_the_stage_that_was_asked_for_runs(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        assert call(job, "measure") == Progress(job.name, next="prepare", host=node_name())
        assert starts(job) == []

    def test_four_calls_make_the_result_and_intermediate_files_go(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        assert carried(job) == ["prepare", "atlas", "segment", "measure"]
        assert len((job.out_dir / "results" / job.name / "text").read_text().splitlines()) == 5
        assert not job.scratch.exists()

    def test_what_is_done_is_not_done_again(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        carried(job)
        assert carried(job) == []
        assert len(starts(job)) == 4

    def test_a_result_that_is_gone_is_made_again(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        carried(job)
        shutil.rmtree(job.out_dir / "results")
        assert carried(job) == ["prepare", "atlas", "segment", "measure"]

    def test_the_way_goes_on_where_it_was_left(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        call(job, "prepare")
        assert carried(job) == ["atlas", "segment", "measure"]

    def test_another_input_makes_everything_anew(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        carried(job)
        job.source.write_text("another case\n")
        assert carried(job) == ["prepare", "atlas", "segment", "measure"]

    def test_events_and_log_tell_start_and_end(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        events: list[Event] = []
        advance(Call(job, "prepare", job.needs()["prepare"]), events.append)
        assert [(event.what, event.stage) for event in events] == [("started", "prepare"), ("finished", "prepare")]
        lines = [line.split(maxsplit=3)[3] for line in job.log_path.read_text().splitlines()]
        assert lines[0] == "started prepare"
        assert lines[1].startswith("finished prepare ")

    def test_what_a_killed_process_left_half_made_goes(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        left = job.scratch / ".prepare.123-abcdef01.tmp"
        left.mkdir(parents=True)
        os.utime(left, (0, 0))
        call(job, "prepare")
        assert not left.exists()


class TestFailures:
    def test_an_error_of_ours_is_told_as_it_is(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1)
        job.source.unlink()
        failure = call(job, "prepare").failure
        assert failure is not None
        assert (failure.kind, failure.stage, failure.key) == ("UnreadableScanError", "prepare", "")
        assert str(job.source) in failure.message

    def test_an_unexpected_one_points_to_its_details(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1, "0:prepare:raise")
        failure = call(job, "prepare").failure
        assert failure is not None
        told = f"unexpected ValueError on {node_name()}: made to fail. The details are in logs/{job.name}.log."
        assert failure.message == told
        assert failure.host == node_name()
        assert "in _suffer" in job.log_path.read_text()
        assert read_record(job.record_path("prepare")) is None

    def test_a_full_disk_is_told_in_words(self, make_jobs: Any) -> None:
        (job,) = make_jobs(1, "0:prepare:full")
        failure = call(job, "prepare").failure
        assert failure is not None
        assert failure.kind == DISK_FULL
        assert "no space left" in failure.message


class TestAfterAFailure:
    @pytest.fixture
    def failed(self, make_jobs: Any) -> Job:
        (job,) = make_jobs(1, "0:prepare:refuse")
        failure = call(job, "prepare").failure
        assert failure is not None
        write_model(job.failure_path, failure)
        (job.out_dir / "mended").touch()
        result: Job = job
        return result

    def test_it_is_not_tried_again(self, failed: Job) -> None:
        progress = call(failed, "prepare")
        assert progress.known
        assert progress.failure is not None
        assert starts(failed) == ["prepare"]

    def test_unless_that_is_asked_for(self, failed: Job) -> None:
        assert call(failed, "prepare", retry_failed=True).ran == "prepare"

    def test_or_the_input_is_another(self, failed: Any) -> None:
        failed.source.write_text("mended\n")
        assert call(failed, "prepare").ran == "prepare"

    def test_or_it_has_more_memory(self, failed: Job) -> None:
        more = Call(failed, "prepare", Needs(memory_gb=64))
        assert advance(more, lambda event: None).ran == "prepare"

    def test_or_the_place_was_to_blame(self, failed: Job) -> None:
        failure = Failure.model_validate_json(failed.failure_path.read_bytes())
        write_model(failed.failure_path, failure.model_copy(update={"kind": DISK_FULL, "fault": "place"}))
        assert call(failed, "prepare").ran == "prepare"

    def test_once_the_case_is_done_the_failure_goes(self, failed: Job) -> None:
        call(failed, "prepare", retry_failed=True)
        carried(failed)
        assert not failed.failure_path.exists()
        assert isinstance(failed.failure_path, Path)
