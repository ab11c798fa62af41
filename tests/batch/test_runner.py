"""Many cases over the engines of this machine: what goes wrong, and that nothing else goes wrong with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from cerebatch.batch.ledger.manifest import End
from cerebatch.batch.ledger.records import Failure

pytestmark = pytest.mark.slow


PROGRAM = Path(__file__).with_name("cohort.py")


def local(folder: Path, more: str = "", name: str = "two") -> str:
    """Path of a profile of two cores."""
    path = folder / f"{name}.yaml"
    path.write_text(f"kind: local\ncores: 2\nmemory_gb: 4\n{more}")
    return str(path)


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    """A cohort that runs."""
    command = [sys.executable, str(PROGRAM), str(out), *options]
    # A terminal sends Ctrl-C to a whole group of processes.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def ran(out: Path, *options: str) -> tuple[dict[str, str], str]:
    """Status of every case of a cohort that ran, and all that was printed."""
    with started(out, *options) as process:
        printed = process.communicate(timeout=120)[0]
    assert process.returncode == 0, printed
    lines = [line.split(maxsplit=2) for line in printed.splitlines() if line.startswith("OUTCOME ")]
    return {case: status for _, case, status in lines}, printed


def results(out: Path) -> dict[str, bytes]:
    """Results by the names of the cases."""
    return {path.parent.name: path.read_bytes() for path in sorted((out / "results").glob("*/text"))}


def starts(out: Path) -> Counter[str]:
    """How often each stage of each case was really started."""
    return Counter((out / "starts.log").read_text().splitlines())


def failure(out: Path, case: int) -> Failure:
    """What is written down about a case."""
    path = out / f"records/cases/sub-{case:05d}/failure.json"
    return Failure.model_validate_json(path.read_bytes())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight cases run serially."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    outcomes, _ = ran(out, "--cases=8", "--profile=serial")
    assert set(outcomes.values()) == {"done"}
    return out


def test_on_dask_every_case_is_done_once_with_the_bytes_of_a_serial_run(tmp_path: Path, undisturbed: Path) -> None:
    outcomes, printed = ran(tmp_path / "out", "--cases=8", "--profile", local(tmp_path))
    assert set(outcomes.values()) == {"done"}
    assert results(tmp_path / "out") == results(undisturbed)
    assert set(starts(tmp_path / "out").values()) == {1}
    assert "dashboard, for this machine alone: http://127.0.0.1:" in printed
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert not list((tmp_path / "out").rglob("lease.json"))


def test_broken_cases_stop_nobody_and_are_told_with_their_reasons(tmp_path: Path) -> None:
    out = tmp_path / "out"
    faults = ["0:prepare:raise", "1:atlas:hang", "2:segment:memory", "3:measure:exit", "4:prepare:full"]
    options = [f"--fault=sub-0000{fault}" for fault in faults]
    profile = local(tmp_path, "stages: {atlas: {minutes: 0.08}, segment: {memory_gb: 1.0}}\n")
    outcomes, printed = ran(out, "--cases=8", "--profile", profile, *options)
    assert [status.split(":")[0] for _, status in sorted(outcomes.items())] == ["failed"] * 5 + ["done"] * 3, printed
    found = {case: (failure(out, case).stage, failure(out, case).kind) for case in range(5)}
    assert found == {
        0: ("prepare", "ValueError"), 1: ("atlas", "Hang"), 2: ("segment", "Killed"), 3: ("measure", "Lost"),
        4: ("prepare", "DiskFull"),
    }  # fmt: skip
    assert "it had 1 GB" in failure(out, 2).message
    assert "tried 5 times" in failure(out, 3).message
    assert starts(out)["sub-00001 atlas"] == 2
    assert starts(out)["sub-00003 measure"] == 5


def test_a_second_run_does_only_what_is_missing_and_leaves_what_would_fail_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--cases=6", "--fault=sub-00000:atlas:refuse", "--fault=sub-00001:prepare:full"]
    ran(out, *options)
    (out / "mended").touch()
    outcomes, _ = ran(out, *options)
    statuses = [status.split(":")[0] for _, status in sorted(outcomes.items())]
    assert statuses == ["failed", "done", "skipped", "skipped", "skipped", "skipped"]
    assert starts(out)["sub-00000 atlas"] == 1
    outcomes, _ = ran(out, *options, "--retry-failed")
    assert sorted(Counter(outcomes.values()).items()) == [("done", 1), ("skipped", 5)]
    assert starts(out)["sub-00000 prepare"] == 1


def test_a_stage_that_took_too_much_or_hung_is_not_tried_again_with_the_same_limits(tmp_path: Path) -> None:
    out = tmp_path / "out"
    faults = ["--fault=sub-00000:prepare:memory", "--fault=sub-00001:prepare:hang", "--fault=sub-00002:prepare:exit"]
    options = ["--cases=3", "--memory-gb=1", *faults]
    tight = local(tmp_path, "stages: {prepare: {minutes: 0.08}}\n")
    roomy = local(tmp_path, "stages: {prepare: {memory_gb: 2.0}}\n", name="roomy")
    ran(out, *options, "--profile", tight)
    before = starts(out)
    outcomes, _ = ran(out, *options, "--profile", tight)
    assert {status.split(":")[0] for status in outcomes.values()} == {"failed"}
    assert set(starts(out) - before) == {"sub-00002 prepare"}  # lost: not the fault of the case
    (out / "mended").touch()
    outcomes, _ = ran(out, *options, "--profile", roomy)
    assert sorted(status.split(":")[0] for status in outcomes.values()) == ["done"] * 3


def test_a_disk_that_stays_full_stops_the_run(tmp_path: Path) -> None:
    faults = [f"--fault=sub-{case:05d}:prepare:full" for case in range(30)]
    outcomes, _ = ran(tmp_path / "out", "--cases=30", *faults)
    counts = Counter(status.split(":")[0] for status in outcomes.values())
    assert 5 <= counts["failed"] <= 7  # and what was in flight
    assert counts["failed"] + counts["handed back"] == 30
    (end,) = (tmp_path / "out/records/runs").glob("*.end.json")
    assert End.model_validate_json(end.read_bytes()).how == "interrupted"


def test_two_runs_at_once_share_the_cases_of_one_folder(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    options = ["--cases=8", "--work=0.1", "--profile", local(tmp_path)]
    with started(out, *options) as one, started(out, *options) as other:
        printed = [run.communicate(timeout=120)[0] for run in (one, other)]
    assert results(out) == results(undisturbed)
    assert set(starts(out).values()) == {1}, printed
    assert any(" elsewhere" in text for text in printed)


def until(process: subprocess.Popen[str], said: str) -> None:
    """Read what a cohort prints until something is said."""
    assert process.stdout is not None
    for line in process.stdout:
        if said in line:
            return
    raise AssertionError(f"it ended and never said {said!r}")


def test_ctrl_c_hands_back_what_has_not_begun_and_the_next_run_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    options = ["--cases=8", "--profile", local(tmp_path)]
    with started(out, *options, "--work=0.5") as process:
        until(process, "what='started'")
        os.killpg(process.pid, signal.SIGINT)
        printed = process.communicate(timeout=60)[0]
    assert "Traceback" not in printed
    assert "OUTCOME" in printed
    assert "handed back" in printed
    assert not list(out.rglob("lease.json"))
    before = starts(out)
    outcomes, _ = ran(out, *options)
    assert set(outcomes.values()) <= {"done", "skipped"}
    assert results(out) == results(undisturbed)
    assert set((starts(out) - before).values()) <= {1}
    assert set(starts(out).values()) == {1}


def test_twice_stops_at_once_and_nothing_lives_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(out, "--cases=4", "--profile", local(tmp_path), "--fault=sub-00000:prepare:hang") as process:
        until(process, "what='started'")
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        until(process, "stopping")
        os.killpg(process.pid, signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert not list((out / "records/runs").glob(".run-*"))  # keys


def test_a_driver_that_was_killed_leaves_nothing_running_and_the_next_run_goes_on(
    tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "out"
    options = ["--cases=8", "--profile", local(tmp_path)]
    with started(out, *options, "--work=0.5") as process:
        until(process, "stage='atlas'")
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    complete = {f"{path.parent.name} {path.stem}" for path in out.glob("records/cases/*/[!lf]*.json")}
    before = starts(out)
    outcomes, printed = ran(out, *options)
    assert set(outcomes.values()) <= {"done", "skipped"}, printed
    assert results(out) == results(undisturbed)
    again = starts(out) - before
    assert complete
    assert not complete & set(again)
    assert len(starts(out)) == 32
