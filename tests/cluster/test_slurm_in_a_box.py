"""A real Slurm on this machine does what tests of cluster code rely on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


PROGRAM = Path(__file__).parents[2] / "cluster/slurm-in-a-box/slurm_in_a_box.py"


def box(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), command, str(folder)], capture_output=True, text=True)


def slurm_says(*command: str, folder: Path | None = None) -> str:
    """Output of a Slurm command on the session's box, or on the one of a folder."""
    environment = os.environ | ({"SLURM_CONF": f"{folder}/slurm.conf"} if folder else {})
    done = subprocess.run(["timeout", "30", *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def submit(script: str, *options: str, folder: Path | None = None) -> str:
    """Job's number."""
    return slurm_says("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}", folder=folder)


def wait_for(state: str, job: str, folder: Path | None = None) -> None:
    deadline = time.monotonic() + 20
    while (found := job_state(job, folder)) != state:
        assert time.monotonic() < deadline, f"job {job} is {found}, not {state}"
        time.sleep(0.1)


def job_state(job: str, folder: Path | None = None) -> str:
    return slurm_says("squeue", f"--jobs={job}", "--states=all", "--noheader", "--format=%T", folder=folder)


def node_state(node: str, folder: Path | None = None) -> str:
    return slurm_says("sinfo", "--noheader", f"--nodes={node}", "--format=%T", folder=folder)


def processes_of(folder: Path) -> list[str]:
    """Command lines of all that works in the folder, or was told of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if os.fsencode(folder) in told or (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.fixture
def another(slurm: Path) -> Iterator[Path]:
    """Folder of a second box, beside the session's."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    started = box("start", folder)
    assert started.returncode == 0, started.stderr
    yield folder
    box("stop", folder)
    shutil.rmtree(folder)


@pytest.mark.usefixtures("slurm")
class TestJobs:
    def test_two_run_on_two_nodes_at_once(self, tmp_path: Path) -> None:
        meet = "touch $SLURMD_NODENAME; until test -e cpu1 -a -e cpu2; do sleep 0.1; done"
        jobs = [submit(meet, "--cpus-per-task=4", f"--chdir={tmp_path}") for _ in range(2)]
        for job in jobs:
            wait_for("COMPLETED", job)

    @pytest.mark.parametrize(("gpus", "visible"), [(1, "0"), (2, "0,1")])
    def test_one_with_gpus_sees_which(self, gpus: int, visible: str) -> None:
        told = slurm_says("srun", "--partition=gpu", f"--gpus={gpus}", "printenv", "CUDA_VISIBLE_DEVICES")
        assert told == visible

    def test_one_above_its_memory_is_killed(self, tmp_path: Path) -> None:
        greedy = f"{sys.executable} -c 'import time; held = bytearray(200 << 20); time.sleep(60)'"
        job = submit(greedy, "--mem=50", f"--output={tmp_path}/out")
        wait_for("FAILED", job)
        assert "exceeded memory limit" in (tmp_path / "out").read_text()

    def test_a_cancelled_one_ends(self) -> None:
        job = submit("sleep 60")
        wait_for("RUNNING", job)
        slurm_says("scancel", job)
        wait_for("CANCELLED", job)

    def test_a_node_set_down_loses_its_own_until_it_is_resumed(self) -> None:
        job = submit("sleep 60", "--nodelist=cpu2", "--no-requeue")
        wait_for("RUNNING", job)
        slurm_says("scontrol", "update", "nodename=cpu2", "state=down", "reason=test")
        try:
            wait_for("NODE_FAIL", job)
            assert node_state("cpu2") == "down"
        finally:
            slurm_says("scontrol", "update", "nodename=cpu2", "state=resume")
        slurm_says("srun", "--nodelist=cpu2", "true")

    def test_a_requeued_one_starts_again_within_seconds(self, tmp_path: Path) -> None:
        job = submit("echo $SLURM_RESTART_COUNT >> starts; sleep 60", f"--chdir={tmp_path}")
        wait_for("RUNNING", job)
        slurm_says("scontrol", "requeue", job)
        wait_for("PENDING", job)
        wait_for("RUNNING", job)
        slurm_says("scancel", job)


class TestTwoBoxes:
    def test_do_not_disturb_each_other(self, slurm: Path, another: Path) -> None:
        here, there = submit("sleep 60"), submit("sleep 60", folder=another)
        wait_for("RUNNING", here)
        wait_for("RUNNING", there, another)
        slurm_says("scontrol", "update", "nodename=gpu1", "state=down", "reason=test", folder=another)
        assert (node_state("gpu1"), node_state("gpu1", another)) == ("idle", "down")
        box("stop", another)
        assert job_state(here) == "RUNNING"
        slurm_says("scancel", here)


class TestStop:
    def test_leaves_no_process_and_may_be_called_twice(self, another: Path) -> None:
        stubborn = "trap '' TERM; setsid sleep 60 & sleep 60"
        job = submit(stubborn, f"--chdir={another}", folder=another)
        wait_for("RUNNING", job, another)
        assert processes_of(another)
        for said in ("stopped", "nothing runs"):
            stopped = box("stop", another)
            assert stopped.returncode == 0
            assert stopped.stdout.startswith(said)
            assert processes_of(another) == []


class TestStartIsRefused:
    def test_where_one_runs(self, slurm: Path) -> None:
        refused = box("start", slurm)
        assert refused.returncode == 2
        assert "stop it first" in refused.stderr
        slurm_says("scontrol", "ping")

    @pytest.mark.usefixtures("slurm")
    def test_in_a_folder_of_other_things(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            (Path(folder) / "mine").touch()
            refused = box("start", Path(folder))
        assert refused.returncode == 2
        assert "holds other things" in refused.stderr

    @pytest.mark.usefixtures("slurm")
    def test_where_sockets_would_have_too_long_a_path(self) -> None:
        refused = box("start", Path("/tmp") / ("x" * 90))
        assert refused.returncode == 2
        assert "may have 69 bytes" in refused.stderr
