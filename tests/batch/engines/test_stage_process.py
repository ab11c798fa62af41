"""A stage in a process of its own: limits hold, and what happens to it happens to nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.engines.base import EngineFailure
from cerebatch.batch.engines.stage_process import StageProcess
from cerebatch.batch.job import Job
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.ledger.records import HANG, KILLED, LOST, read_record

pytestmark = pytest.mark.slow


@pytest.fixture
def process() -> Iterator[StageProcess]:
    made = StageProcess()
    yield made
    made.end()


def prepare(job: Job, **limits: Any) -> Call:
    """Ask for the first stage."""
    return Call(job, "prepare", replace(job.needs()["prepare"], **limits))


def children() -> set[int]:
    """Our child processes that live."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_stage_runs_there_and_is_heard_here(process: StageProcess, make_jobs: Any) -> None:
    (job,) = make_jobs(1)
    events: list[Event] = []
    result = process.run(prepare(job), events.append)
    assert isinstance(result, Progress)
    assert (result.ran, result.next) == ("prepare", "atlas")
    assert [event.what for event in events] == ["started", "finished"]
    assert f" {os.getpid()} " not in job.log_path.read_text()


def test_one_process_serves_many_calls(process: StageProcess, make_jobs: Any) -> None:
    before = children()
    for job in make_jobs(5):
        process.run(prepare(job), lambda event: None)
        assert len(children() - before) == 1


def test_what_lies_in_the_current_folder_is_not_imported(
    process: StageProcess, make_jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make_jobs(1)
    (tmp_path / "cerebatch").mkdir()
    (tmp_path / "cerebatch/__init__.py").write_text("raise ImportError('the sources, without their kernels')")
    monkeypatch.chdir(tmp_path)
    result = process.run(prepare(job), lambda event: None)
    assert isinstance(result, Progress)
    assert result.ran == "prepare"


def test_too_much_memory_is_ended_and_told_with_both_numbers(process: StageProcess, make_jobs: Any) -> None:
    (job,) = make_jobs(1, "0:prepare:memory", memory_gb=1.0)
    result = process.run(prepare(job), lambda event: None)
    assert isinstance(result, EngineFailure)
    assert result.kind == KILLED
    assert result.message.startswith("killed for memory: it had 1 GB and took 1.")
    assert "raise `stages: {prepare: {memory_gb: ...}}` in the profile" in result.message


def test_a_hanging_stage_is_ended(process: StageProcess, make_jobs: Any) -> None:
    (job,) = make_jobs(1, "0:prepare:hang")
    before = children()
    result = process.run(prepare(job, minutes=0.05), lambda event: None)
    assert isinstance(result, EngineFailure)
    assert result.kind == HANG
    assert "after 0.05 minutes" in result.message
    assert children() <= before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_process_is_lost_and_the_next_call_has_a_new_one(
    process: StageProcess, make_jobs: Any, number: signal.Signals
) -> None:
    hanging, well = make_jobs(2, "0:prepare:hang")
    before, started = children(), threading.Event()
    killer = threading.Thread(target=lambda: (started.wait(), [os.kill(pid, number) for pid in children() - before]))
    killer.start()
    result = process.run(prepare(hanging), lambda event: started.set())
    killer.join()
    assert isinstance(result, EngineFailure)
    assert result.kind == LOST
    assert number.name in result.message
    assert isinstance(process.run(prepare(well), lambda event: None), Progress)


def test_a_process_that_ends_itself_is_lost(process: StageProcess, make_jobs: Any) -> None:
    (job,) = make_jobs(1, "0:prepare:exit")
    result = process.run(prepare(job), lambda event: None)
    assert isinstance(result, EngineFailure)
    assert "(exit status 7); it said last: no more of this." in result.message
    assert read_record(job.record_path("prepare")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a stage ends before it notices that its owner is gone")
def test_the_child_dies_with_its_owner(tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys\n"
        f"sys.argv = ['x']; path = {str(Path(__file__).parents[1] / 'cohort.py')!r}\n"
        "exec(open(path).read().split('def main')[0], globals())\n"
        "from cerebatch.batch.advance import Call\n"
        "from cerebatch.batch.engines.stage_process import StageProcess\n"
        f"out = Path({str(tmp_path)!r}) / 'out'; out.mkdir()\n"
        "job, = jobs_of(out, 1, {'sub-00000': [('prepare', 'hang')]}, gpu=False, work=0, limits=Needs(memory_gb=1))\n"
        "process = StageProcess()\n"
        "process.run(Call(job, 'prepare', job.needs()['prepare']), lambda e: print(process._child.pid, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        assert psutil.pid_exists(child)
        owner.kill()
        owner.wait()
        deadline = time.monotonic() + 5
        while psutil.pid_exists(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not psutil.pid_exists(child)
