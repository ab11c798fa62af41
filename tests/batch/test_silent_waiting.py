"""Nothing waits or vanishes without a word: memory that is asked for once, submissions, logs of jobs, threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from job_profiles import cluster, place

from cerebatch.batch.cluster import profile as profiles
from cerebatch.batch.cluster.jobs import JobPool, Pace, Resubmits
from cerebatch.batch.cluster.profile import Local, Profile
from cerebatch.batch.engines.stage_process import StageProcess
from cerebatch.batch.run import run_jobs
from cerebatch.batch.runner import GRACE_SECONDS

SLURM_KILLS_AFTER = 30.0
"""KillWait, as Slurm comes: seconds between SIGTERM and SIGKILL."""


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What a condition gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)
    return found


def test_the_memory_of_this_machine_is_asked_for_once(make_jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([8.0, 0.1, 0.1, 0.1, 0.1])  # what fits at first would wait for ever in what is there a moment later
    monkeypatch.setattr(profiles, "available_gb", lambda: next(free))
    started_with: list[Profile] = []

    def start(profile: Profile, *_: Any) -> Any:
        started_with.append(profile)
        raise KeyboardInterrupt

    monkeypatch.setattr("cerebatch.batch.run.engines", start)
    (job,) = make_jobs(1)
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs([job], Local(kind="local", cores=1), job.out_dir, lambda event: None))
    (profile,) = started_with
    assert isinstance(profile, Local)
    assert profile.memory_gb == pytest.approx(7.2)


def test_a_stopped_run_is_over_before_slurm_kills_it() -> None:
    assert GRACE_SECONDS <= SLURM_KILLS_AFTER - 10


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts programs before Slurm's: a name, and what it does in the shell."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def put(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    put("scancel", "exit 0")
    put("squeue", "exit 0")
    return put


@pytest.fixture
def pool(tmp_path: Path) -> Any:
    """Makes pools, and gives what they said; they are closed in the end."""
    made: list[JobPool] = []

    def make(**changes: Any) -> tuple[JobPool, list[str]]:
        told: list[str] = []
        profile = cluster(**changes)
        made.append(
            JobPool(
                profile, profile.workers[0], place(tmp_path / "run"), "R1", tell=told.append,
                resubmits=Resubmits(profile.resubmit), command_of=lambda name: "true",
                pace=Pace(look=0.1, retry=0.01, longest=0.05),
            )
        )  # fmt: skip
        return made[-1], told

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    "said",
    ["Unable to contact slurm controller (connect failure)", "Socket timed out on send/recv operation",
     "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"],
)  # fmt: skip
def test_a_controller_that_is_busy_costs_no_resubmission(
    programs: Callable[[str, str], None], pool: Any, tmp_path: Path, said: str
) -> None:
    refusal = f'echo "sbatch: error: Batch job submission failed: {said}" >&2; exit 1'
    programs("sbatch", f"echo x >> {tmp_path}/tries; {refusal}")
    ours, told = pool(jobs=1, resubmit=0)
    ours.want(1)
    until(lambda: (tmp_path / "tries").exists() and (tmp_path / "tries").read_text().count("x") >= 3)
    assert not ours.is_spent
    assert said in told[0]
    programs("sbatch", "echo Submitted batch job 7")
    until(lambda: (ours.alive == 1 and ours.arrived("cerebatch-R1-cpu-4")) or ours.alive == 1)
    assert not ours.is_spent


def test_logs_of_jobs_that_failed_stay_when_the_folder_of_the_run_goes(
    programs: Callable[[str, str], None], pool: Any, tmp_path: Path
) -> None:
    folder = place(tmp_path / "run").folder
    programs("sbatch", "echo Submitted batch job 7")
    ours, told = pool(jobs=1, resubmit=5)
    ours.want(1)
    until(lambda: ours.arrived("cerebatch-R1-cpu-1"))
    (folder / "cerebatch-R1-cpu-1-7.err").write_text("Bus error\n")
    ours.left("cerebatch-R1-cpu-1")
    until(lambda: ours.arrived("cerebatch-R1-cpu-2"))
    (folder / "cerebatch-R1-cpu-2-7.err").write_text("all is well\n")
    ours.close()
    kept = folder.parent / "R1-lost-jobs"
    assert [path.name for path in kept.iterdir()] == ["cerebatch-R1-cpu-1-7.err"]
    assert (kept / "cerebatch-R1-cpu-1-7.err").read_text() == "Bus error\n"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert any(str(kept) in words for words in told)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_process_of_a_stage_sets_its_threads_whatever_it_was_started_in(
    make_jobs: Any, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    from dataclasses import replace

    from cerebatch.batch.advance import Call, Progress

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    process = StageProcess()
    (job,) = make_jobs(1, "0:prepare:threads")
    try:
        result = process.run(Call(job, "prepare", replace(job.needs()["prepare"], threads=threads)), lambda e: None)
    finally:
        process.end()
    assert isinstance(result, Progress)
    assert (job.out_dir / "threads").read_text() == f"{threads} {threads} {threads}"
