"""What is done, and what would fail again, is seen by the driver: nothing is started for it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from job_profiles import cluster

from cerebatch.batch.cluster.profile import Profile, Serial
from cerebatch.batch.engines.in_process import InProcessEngine
from cerebatch.batch.job import Job
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.run import run_jobs
from cerebatch.batch.runner import Relay

SERIAL = Serial(kind="serial")


def statuses(jobs: list[Job], profile: Profile = SERIAL, **options: Any) -> Counter[str]:
    """How many cases left a run in which way."""
    return Counter(outcome.status for outcome in run_jobs(jobs, profile, jobs[0].out_dir, lambda e: None, **options))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets a line for each job that is submitted; none ever starts."""
    programs, asked = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir()
    (programs / "sbatch").write_text(f"#!/bin/sh\necho job >> {asked}\necho Submitted batch job 1\n")
    for name in ("scancel", "squeue"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return asked


def test_a_finished_run_asks_for_no_job(make_jobs: Any, asked: Path) -> None:
    jobs = make_jobs(3)
    assert statuses(jobs) == {"done": 3}
    assert statuses(jobs, cluster()) == {"skipped": 3}
    assert not asked.exists()
    assert not list((jobs[0].out_dir / "records/runs").glob(".run-*"))


def test_what_would_fail_again_asks_for_no_job(make_jobs: Any, asked: Path) -> None:
    jobs = make_jobs(3, "1:atlas:refuse")
    assert statuses(jobs) == {"done": 2, "failed": 1}
    assert statuses(jobs, cluster()) == {"skipped": 2, "failed": 1}
    assert not asked.exists()
    (jobs[0].out_dir / "mended").touch()
    assert statuses(jobs, retry_failed=True) == {"skipped": 2, "done": 1}


def test_what_is_changed_or_half_is_done_again(make_jobs: Any) -> None:
    jobs = make_jobs(3)
    statuses(jobs)
    (jobs[0].out_dir / "results" / jobs[0].name / "text").write_text("other")
    jobs[1].source.write_text("another source")
    assert statuses(jobs) == {"done": 2, "skipped": 1}


def test_left_over_scratch_and_failures_of_done_cases_go(make_jobs: Any) -> None:
    (job,) = make_jobs(1)
    statuses([job])
    job.scratch.mkdir(parents=True)
    job.failure_path.write_text("{}")
    assert statuses([job]) == {"skipped": 1}
    assert not job.scratch.exists()
    assert not job.failure_path.exists()


class Counted(InProcessEngine):
    """Remembers how many calls were said to wait."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(tell)
        self.wanted: list[int] = []

    def want(self, waiting: int) -> None:
        """Remember."""
        self.wanted.append(waiting)


def test_an_engine_hears_how_many_cases_are_left(make_jobs: Any) -> None:
    jobs = make_jobs(7)
    relay = Relay(jobs[0].needs(), "run", lambda event: None)
    engine = Counted(relay.hear)
    assert len(list(relay.carry(jobs, {"cpu": engine}))) == 7
    assert max(engine.wanted) == 7
    assert engine.wanted == sorted(engine.wanted, reverse=True)


def test_a_small_rest_of_a_large_cohort_is_told_as_small(make_jobs: Any) -> None:
    jobs = make_jobs(40)
    statuses(jobs[:38])
    events: list[Event] = []
    outcomes = [outcome.status for outcome in run_jobs(jobs, SERIAL, jobs[0].out_dir, events.append)]
    assert Counter(outcomes) == {"skipped": 38, "done": 2}
    assert outcomes[:38] == ["skipped"] * 38
    assert sum(event.what == "skipped" for event in events) == 38
