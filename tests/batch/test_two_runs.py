"""Two runs on one OUT_DIR, one of which was out of its senses for a while or lives where the other cannot look."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.engines.launch import private_folder
from cerebatch.batch.job import Job
from cerebatch.batch.ledger.lease import Lease, take
from cerebatch.batch.ledger.records import read_record

PROGRAM = Path(__file__).with_name("cohort.py")
OURS = Lease(run="ours", host="here", pid=1, seconds=60)
THEIRS = Lease(run="theirs", host="there", pid=2, seconds=60)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a cohort as a program, perhaps inside another; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(out: Path, *options: str, inside: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [*inside, sys.executable, str(PROGRAM), str(out), *options]
        run = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(run)
        return run

    yield begin
    for run in started:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()


def until(run: subprocess.Popen[str], said: str) -> None:
    """Read what a cohort prints until something is said."""
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if said in line:
            return
    raise AssertionError(f"it ended and never said {said!r}: {''.join(lines)}")


def ended(run: subprocess.Popen[str]) -> str:
    """What a cohort prints until it ends."""
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 0, printed
    return printed


def serial(folder: Path) -> str:
    """Path of a profile whose leases are short."""
    path = folder / "short.yaml"
    path.write_text("kind: serial\nlease_seconds: 1\n")
    return str(path)


def starts(out: Path) -> Counter[str]:
    """How often each stage was really started."""
    return Counter(line.split()[1] for line in (out / "starts.log").read_text().splitlines())


class TestOneThatSlept:
    def test_it_leaves_the_case_to_the_run_that_took_it(
        self, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """As after SIGSTOP, a suspended laptop, or a network file system that hung."""
        out, options = tmp_path / "out", ["--cases=1", "--work=1", "--profile", serial(tmp_path)]
        sleeper = start(out, *options)
        until(sleeper, "what='started'")
        os.killpg(sleeper.pid, signal.SIGSTOP)
        time.sleep(1.2)
        other = start(out, *options)
        until(other, "what='started', stage='prepare'")
        os.killpg(sleeper.pid, signal.SIGCONT)
        until(other, "what='started', stage='atlas'")
        assert "OUTCOME sub-00000 elsewhere" in ended(sleeper)
        assert "OUTCOME sub-00000 done" in ended(other)
        assert starts(out) == {"prepare": 2, "atlas": 1, "segment": 1, "measure": 1}
        assert not list(out.rglob("failure.json"))
        assert len((out / "results/sub-00000/text").read_text().splitlines()) == 5


class TestAStageOfARunThatLostItsLease:
    @pytest.fixture
    def job(self, make_jobs: Any) -> Job:
        (made,) = make_jobs(1)
        result: Job = made
        return result

    def call(self, job: Job) -> Call:
        return Call(job, "prepare", job.needs()["prepare"], run="ours")

    def test_does_not_begin(self, job: Job) -> None:
        take(job.lease_path, THEIRS)
        assert advance(self.call(job), lambda event: None).taken_over
        assert not (job.out_dir / "starts.log").exists()

    def test_publishes_nothing_and_blames_nobody(self, job: Job) -> None:
        take(job.lease_path, OURS)

        def lose(event: object) -> None:
            job.lease_path.unlink(missing_ok=True)
            take(job.lease_path, THEIRS)

        progress = advance(self.call(job), lose)
        assert (progress.taken_over, progress.ran, progress.failure) == (True, "", None)
        assert read_record(job.record_path("prepare")) is None
        assert not (job.scratch / "prepare").exists()

    def test_nor_where_the_other_run_has_ended_it_and_given_it_back(self, job: Job) -> None:
        take(job.lease_path, OURS)
        progress = advance(self.call(job), lambda event: job.lease_path.unlink(missing_ok=True))
        assert (progress.taken_over, progress.ran) == (True, "")

    def test_a_lease_that_cannot_be_read_stops_nobody(self, job: Job) -> None:
        take(job.lease_path, OURS)
        job.lease_path.write_text("{")
        assert advance(self.call(job), lambda event: None).ran == "prepare"


class TestOneInAnotherPidNamespace:
    """Containers on one host share its name and its boot, and cannot see each other's processes."""

    @pytest.fixture
    def elsewhere(self) -> tuple[str, ...]:
        """What runs a command in a PID namespace of its own."""
        for rights in ((), ("--user", "--map-root-user")):
            command = ("unshare", *rights, "--pid", "--fork", "--kill-child", "--mount-proc")
            if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
        pytest.skip("no PID namespace can be made here")

    def test_its_lease_and_its_keys_stay(
        self, tmp_path: Path, elsewhere: tuple[str, ...], start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        out = tmp_path / "out"
        options = ["--cases=1", "--fault=sub-00000:prepare:wait"]
        hidden = start(out, *options, inside=elsewhere)
        until(hidden, "what='started'")
        (run,) = (out / "records/runs").glob("*.json")
        keys = private_folder(run.parent, run.stem)
        keys.mkdir()
        profile = tmp_path / "one.yaml"
        profile.write_text("kind: local\ncores: 1\nmemory_gb: 2\n")
        assert "OUTCOME sub-00000 elsewhere" in ended(start(out, *options, "--profile", str(profile)))
        assert keys.exists()
        (out / "mended").touch()
        assert "OUTCOME sub-00000 done" in ended(hidden)
        assert set(starts(out).values()) == {1}
