"""One run on a real Slurm to which everything happens that happens on clusters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cerebatch.batch.ledger.lease import Lease
from cerebatch.batch.ledger.records import Failure

pytestmark = pytest.mark.slow


PROGRAM = Path(__file__).with_name("cohort.py")
CASES = 18
TOO_LARGE, FULL, STALE, HANGS = 2, 3, 4, 16
"""Numbers of the cases with something of their own; the one that hangs once begins after jobs and nodes were lost."""

PROFILE = """\
kind: cluster
scheduler: slurm
workers:
  - {name: cpu, jobs: 3, cores: 2, memory_gb: 1.2, walltime: "00:30:00", directives: ["--no-requeue"]}
  - {name: large, jobs: 1, cores: 1, memory_gb: 2.5, walltime: "00:30:00", directives: ["--no-requeue"]}
gpu: {jobs: 1, gpus: 0, cores: 1, memory_gb: 2, walltime: "00:30:00", queue: gpu,
      directives: ["--no-requeue", "--gres=gpu:1", "--hold"], patience_minutes: 0.03}
job_state: "squeue --noheader --format=%T --jobs={id}"
stages: {segment: {memory_gb: 1.0}}
"""


@dataclass
class Run:
    """A cohort that runs or ran.

    Attributes
    ----------
    out : Path
    lines : list of str
        All that was printed.
    done_to : dict
        Accident -> id of the job or process that it happened to.
    """

    out: Path
    lines: list[str] = field(default_factory=list)
    done_to: dict[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, str]:
        """Status of every case."""
        found = [line.split(maxsplit=2) for line in self.lines if line.startswith("OUTCOME ")]
        return {case: status for _, case, status in found}

    @property
    def starts(self) -> Counter[str]:
        """How often each stage of each case was started."""
        return Counter((self.out / "starts.log").read_text().splitlines())

    def said(self, pattern: str) -> list[re.Match[str]]:
        """Lines in which something was said."""
        return [match for line in list(self.lines) if (match := re.search(pattern, line))]

    def log(self, case: int) -> str:
        """Log of a case."""
        return (self.out / f"logs/sub-{case:05d}.log").read_text()


def name(case: int) -> str:
    """Name of a case."""
    return f"sub-{case:05d}"


def slurm_says(*command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(["timeout", "30", *command], check=True, capture_output=True, text=True).stdout


def jobs(of_class: str, state: str = "RUNNING") -> list[str]:
    """Ids of the jobs of a class, oldest first."""
    lines = slurm_says("squeue", "--noheader", "--sort=i", "--format=%i %j %T").splitlines()
    return [line.split()[0] for line in lines if f"-{of_class}-" in line and line.endswith(f" {state}")]


def eventually(found: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, "the run ended before its accidents were over"
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.1)


def begin(folder: Path) -> tuple[Run, subprocess.Popen[str], threading.Thread]:
    """Start the cohort."""
    run = Run(folder / "out")
    (folder / "profile.yaml").write_text(PROFILE)
    case = run.out / "records" / "cases" / name(STALE)
    case.mkdir(parents=True)
    dead = Lease(run="of-a-dead-driver", host="another-host", pid=1, seconds=60)
    (case / "lease.json").write_text(dead.model_dump_json())
    os.utime(case / "lease.json", (time.time() - 61,) * 2)
    faults = [f"{name(HANGS)}:atlas:hang-once", f"{name(TOO_LARGE)}:atlas:memory", f"{name(FULL)}:atlas:full"]
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(run.out), f"--cases={CASES}", "--gpu", "--work=1.2", "--memory-gb=0.6",
         "--minutes=0.3", "--profile", str(folder / "profile.yaml"), *(f"--fault={fault}" for fault in faults)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip

    def read() -> None:
        assert process.stdout is not None
        run.lines.extend(line.rstrip() for line in process.stdout)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return run, process, reader


def let_it_happen(run: Run, process: subprocess.Popen[str]) -> None:
    """The accidents that come from outside."""
    eventually(lambda: len(jobs("cpu")) == 3 and run.said("stage='prepare'"), process)
    first, second, third = jobs("cpu")
    slurm_says("scancel", first)
    run.done_to["cancelled"] = first
    slurm_says("scontrol", "update", f"jobid={second}", "EndTime=now+1")
    run.done_to["walltime"] = second
    node = slurm_says("squeue", "--noheader", "--format=%N", f"--jobs={third}").strip()
    slurm_says("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    run.done_to["node"] = third
    time.sleep(1)
    slurm_says("scontrol", "update", f"nodename={node}", "state=resume")
    eventually(lambda: run.said("jobs of class gpu: 1 of 1 jobs have not arrived"), process)
    (held,) = jobs("gpu", "PENDING")
    run.done_to["never starts"] = held
    slurm_says("scontrol", "release", held)
    eventually(lambda: run.said(r"actor (\d+) on ") and run.said("stage='segment'"), process)
    (actor,) = run.said(r"actor (\d+) on ")
    run.done_to["actor"] = actor[1]
    os.kill(int(actor[1]), signal.SIGKILL)
    eventually(lambda: len(run.said(r"actor (\d+) on ")) == 2, process)
    slurm_says("scancel", held)
    run.done_to["gpu"] = held
    eventually(lambda: jobs("gpu", "PENDING"), process)
    slurm_says("scontrol", "release", jobs("gpu", "PENDING")[0])


@pytest.fixture(scope="module")
def run(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run to its end, with everything that happened to it."""
    started, process, reader = begin(tmp_path_factory.mktemp("slurm"))
    try:
        let_it_happen(started, process)
        process.wait(timeout=120)
    except BaseException:
        print("\n".join(started.lines))
        raise
    finally:
        process.kill()
        process.wait()
        reader.join()
    yield started


def test_every_case_is_right_and_none_is_lost(run: Run, tmp_path: Path) -> None:
    statuses = {case: status.split(":")[0] for case, status in run.outcomes.items()}
    assert statuses == {name(case): "failed" if case == FULL else "done" for case in range(CASES)}
    plain = tmp_path / "out"
    subprocess.run([sys.executable, str(PROGRAM), str(plain), f"--cases={CASES}"], check=True, capture_output=True)
    for case in set(range(CASES)) - {FULL}:
        made, expected = (out / "results" / name(case) / "text" for out in (run.out, plain))
        assert made.read_bytes() == expected.read_bytes()


def test_the_stages_ran_inside_jobs(run: Run) -> None:
    printed = "\n".join(run.lines)
    assert "driver at tls://" in printed
    assert not jobs("cpu") and not jobs("gpu")
    assert len(run.done_to) == 6


def test_walltime_reached(run: Run) -> None:
    job = slurm_says("scontrol", "show", "job", run.done_to["walltime"])
    assert "JobState=TIMEOUT" in job or "JobState=CANCELLED" in job or "JobState=COMPLETED" in job


def test_a_cpu_job_was_cancelled(run: Run) -> None:
    assert "JobState=CANCELLED" in slurm_says("scontrol", "show", "job", run.done_to["cancelled"])
    assert run.said("again .*worker that ran it was lost") or run.said("what='again'")


def test_a_gpu_job_was_cancelled(run: Run) -> None:
    assert "JobState=CANCELLED" in slurm_says("scontrol", "show", "job", run.done_to["gpu"])
    assert len(run.said(r"actor (\d+) on ")) == 3


def test_a_node_was_set_down(run: Run) -> None:
    assert "JobState=NODE_FAIL" in slurm_says("scontrol", "show", "job", run.done_to["node"])


def test_a_stage_was_killed_for_memory_and_done_by_a_larger_worker(run: Run) -> None:
    assert "again with 2.5 GB atlas: killed for memory: it had 1.2 GB" in run.log(TOO_LARGE)
    assert run.starts[f"{name(TOO_LARGE)} atlas"] >= 2


def test_an_actor_was_killed(run: Run) -> None:
    assert not psutil.pid_exists(int(run.done_to["actor"]))
    assert run.said("what='again', stage='segment'")


def test_a_stale_lease_of_a_dead_driver_holds_nobody_up(run: Run) -> None:
    assert run.outcomes[name(STALE)] == "done"
    assert not (run.out / "records/cases" / name(STALE) / "lease.json").exists()


def test_a_full_disk_is_told_in_words(run: Run) -> None:
    path = run.out / "records/cases" / name(FULL) / "failure.json"
    failure = Failure.model_validate_json(path.read_bytes())
    assert (failure.stage, failure.kind) == ("atlas", "DiskFull")
    assert "no space left" in failure.message


def test_a_job_that_does_not_start_is_told_with_what_waits(run: Run) -> None:
    (said,) = run.said(r"jobs of class gpu: 1 of 1 jobs have not arrived after 0.03 minutes: (\d+) PENDING")[:1]
    assert said[1] == run.done_to["never starts"]


def test_a_stage_that_hangs_is_ended_and_tried_again(run: Run) -> None:
    assert "again atlas: ended after 0.3 minutes" in run.log(HANGS)


def test_when_no_job_may_be_submitted_again_the_run_ends_and_says_so(slurm: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    large = next(line for line in PROFILE.splitlines() if "name: large" in line)
    profile.write_text(PROFILE.replace(large + "\n", "").partition("gpu:")[0] + "resubmit: 0\n")
    command = [sys.executable, str(PROGRAM), str(tmp_path / "out"), "--cases=4", "--work=20", f"--profile={profile}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            starts = tmp_path / "out" / "starts.log"
            eventually(lambda: len(jobs("cpu")) == 2 and starts.exists(), process)
            time.sleep(3)  # both workers have arrived: a job that ends before goes unnoticed without `job_state`
            slurm_says("scancel", *jobs("cpu"))
            printed = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert "no job is left that holds prepare, and no more may be submitted (`resubmit` in the profile)" in printed
    assert printed.count("handed back") == 4


def test_nothing_of_the_run_survives_it(run: Run) -> None:
    folder = run.out / "records" / "runs"
    # What the run was and how it ended; and the logs of the jobs that were lost, to be read afterwards.
    (kept,) = [path for path in folder.iterdir() if path.is_dir()]
    assert kept.name.endswith("-lost-jobs")
    assert any(path.stat().st_size for path in kept.iterdir())
    assert [path.suffix for path in folder.iterdir() if path.is_file()] == [".json", ".json"]
    assert not list(run.out.rglob("*.tmp"))
    assert not list(run.out.rglob("lease.json"))
