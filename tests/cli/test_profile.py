"""The command line about places to run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from typer.testing import CliRunner

from cerebatch.batch.cluster import profile_check
from cerebatch.batch.cluster.machine import address_on
from cerebatch.batch.cluster.profile import load_profile
from cerebatch.cli.profile import profile_app
from cerebatch.errors import SettingsError

Say = Callable[..., tuple[int, list[str]]]

pytestmark = pytest.mark.slow


@pytest.fixture
def say() -> Say:
    """Calls `cerebatch profile`: exit status and lines."""

    def call(*arguments: str | Path) -> tuple[int, list[str]]:
        result = CliRunner().invoke(profile_app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout.splitlines()

    return call


@pytest.fixture
def ours(tmp_path: Path) -> Callable[..., Path]:
    """Writes a profile for the small Slurm; its CPU class is changed by what is given."""

    def write(*, gpu: dict[str, Any] | None = None, **changes: Any) -> Path:
        small = {"jobs": 1, "cores": 1, "memory_gb": 0.5, "walltime": "00:05:00"}
        content = {
            "kind": "cluster",
            "scheduler": "slurm",
            "interface": changes.pop("interface", "lo"),
            "workers": [small | {"name": "cpu"} | changes],
            "job_state": "squeue --noheader --format=%T --jobs={id}",
        }
        if gpu is not None:
            content["gpu"] = small | {"queue": "gpu"} | gpu
        path = tmp_path / "ours.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def wrong(lines: list[str]) -> list[str]:
    return [line.removeprefix("wrong ") for line in lines if line.startswith("wrong ")]


class TestList:
    def test_every_profile_with_its_first_line(self, say: Say) -> None:
        status, lines = say("list")
        assert status == 0
        assert [line.split("\t")[0] for line in lines] == ["local", "serial", "slurm", "slurm-gpu"]
        assert lines[2].endswith("Dask workers and Ray nodes in jobs of a Slurm cluster, all on CPUs.")


class TestShow:
    def test_what_is_shown_is_a_profile_again(self, say: Say, tmp_path: Path) -> None:
        again = tmp_path / "again.yaml"
        again.write_text("\n".join(say("show", "slurm-gpu")[1]).partition("\n\n# class")[0])
        assert load_profile(str(again)) == load_profile("slurm-gpu")

    def test_the_file_itself_can_be_copied(self, say: Say, tmp_path: Path) -> None:
        copy = tmp_path / "copy.yaml"
        copy.write_text("\n".join(say("show", "slurm", "--yaml")[1]))
        assert load_profile(str(copy)) == load_profile("slurm")
        assert "# Cores of one job" in copy.read_text()

    def test_what_the_machine_decides_is_filled_in(self, say: Say) -> None:
        shown = yaml.safe_load("\n".join(say("show", "local")[1]))
        assert isinstance(shown["cores"], int)
        assert isinstance(shown["memory_gb"], float)

    def test_the_scripts_of_a_cluster_with_the_paths_of_the_run(self, say: Say, tmp_path: Path) -> None:
        out = tmp_path / "out"
        _, lines = say("show", "slurm-gpu", "--out", out)
        text = "\n".join(lines)
        assert text.count("#!/usr/bin/env bash") == 3
        assert f"#SBATCH -o {out}/logs/jobs/RUN/cerebatch-RUN-cpu-1-%J.out" in lines
        assert f"--tls-key {out}/logs/jobs/RUN/key.pem" in text
        assert " -m ray.scripts.scripts start " in text
        assert not out.exists()

    def test_an_unknown_name_is_refused(self, say: Say) -> None:
        with pytest.raises(SettingsError, match="did you mean `slurm`"):
            say("show", "slrum")


class TestCheckHere:
    def test_all_is_well_and_nothing_is_left(self, say: Say, tmp_path: Path) -> None:
        out, work = tmp_path / "new/out", tmp_path / "scratch"
        status, lines = say("check", "local", "--out", out, "--work", work, "--cases", "10")
        assert status == 0
        assert lines[:2] == [f"ok    {out}: can be written", f"ok    {work}: can be written"]
        assert lines[2].startswith(f"ok    {out}, {work}: for 10 cases about 0.17 GB and 300 files are needed, ")
        assert lines[3].startswith("ok    this machine: ")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_was_there_stays_as_it_was(self, say: Say, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        assert say("check", "serial", "--out", tmp_path / "out")[0] == 0
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_folder_that_cannot_be_written(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        (tmp_path / "file").touch()
        status, lines = say("check", ours(), "--out", tmp_path / "file/out", "--work", tmp_path / "work")
        assert status == 1
        assert wrong(lines) == [
            f"{tmp_path}/file/out: cannot be written: Not a directory. "
            "Give another folder, or ask for the right to write"
        ]
        assert len(lines) == 2  # and no job was submitted

    def test_too_little_space_for_the_cohort(self, say: Say, tmp_path: Path) -> None:
        status, lines = say("check", "serial", "--out", tmp_path, "--cases", "1000000000", "--resolution", "0.5")
        assert status == 1
        (words,) = wrong(lines)
        assert "for 1000000000 cases about 50000000.00 GB" in words
        assert words.endswith("Free some, or give another folder")

    def test_an_interface_that_is_not_there(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        status, lines = say("check", ours(interface="ib7"), "--out", tmp_path / "out")
        assert status == 1
        (words,) = wrong(lines)
        assert words.startswith("profile: `interface`: expected one with an IPv4 address on this machine (")
        assert words.endswith("found 'ib7'")
        assert address_on("lo") == "127.0.0.1"

    def test_a_scheduler_that_is_not_there(
        self, say: Say, tmp_path: Path, ours: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        status, lines = say("check", ours(), "--out", tmp_path / "out")
        assert status == 1
        assert "cpu: the job was not taken: sbatch " in wrong(lines)[0]


@pytest.mark.usefixtures("slurm")
class TestCheckOnSlurm:
    @pytest.fixture(autouse=True)
    def _look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(profile_check, "_LOOK_SECONDS", 0.1)
        monkeypatch.setattr(profile_check, "_GRACE_SECONDS", 0.5)

    def test_all_is_well_on_the_nodes_of_each_class(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        out, work = tmp_path / "an out's", tmp_path / "work"
        profile = ours(gpu={"gpus": 2, "directives": ["--gres=gpu:2"]})
        status, lines = say("check", profile, "--out", out, "--work", work)
        assert wrong(lines) == []
        assert status == 0
        for name, node in (("cpu", "cpu1"), ("gpu", "gpu1")):
            about = [line.removeprefix(f"ok    {name}: ") for line in lines if line.startswith(f"ok    {name}: ")]
            assert about[0].startswith("the job started after ")
            assert about[0].endswith(f" s, on {node}")
            assert about[1:3] == [f"{out} on {node}: can be written", f"{work} on {node}: can be written"]
            assert about[3].startswith("Python 3.")
            assert about[3].endswith(" as here")
            assert about[4].endswith(f"from {node}: reached")
        assert "ok    gpu: 2 of 2 GPUs given to the job on gpu1" in lines
        assert not out.exists()

    def test_a_job_that_was_given_no_gpu(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        status, lines = say("check", ours(gpu={"gpus": 1}), "--out", tmp_path / "out")
        assert status == 1
        assert wrong(lines) == [
            "gpu: 0 of 1 GPUs given to the job on gpu1. Ask for them in `directives`, as --gres=gpu:1"
        ]

    def test_a_queue_that_is_not_there(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        status, lines = say("check", ours(queue="nowhere"), "--out", tmp_path / "out")
        assert status == 1
        assert "invalid partition specified: nowhere" in wrong(lines)[0]

    def test_another_python_with_other_versions(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        other = tmp_path / "python"
        other.write_text('#!/bin/sh\nunset PYTHONPATH\nexec python3 -S "$@"\n')
        other.chmod(0o755)
        with dask.config.set({"jobqueue.slurm.python": str(other)}):
            status, lines = say("check", ours(), "--out", tmp_path / "out")
        assert status == 1
        found = wrong(lines)
        assert "ray none instead of " in found[0]
        assert found[1].startswith("cpu: cerebatch cannot be imported on cpu1: ModuleNotFoundError")

    def test_no_python_on_the_node(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        with dask.config.set({"jobqueue.slurm.python": "/opt/no/python"}):
            status, lines = say("check", ours(), "--out", tmp_path / "out")
        assert status == 1
        (words,) = wrong(lines)
        assert "ended and reported nothing: " in words
        assert "/opt/no/python: No such file or directory" in words

    def test_a_folder_that_is_another_one_on_the_nodes(
        self, say: Say, tmp_path: Path, ours: Callable[..., Path]
    ) -> None:
        work = tmp_path / "work"
        profile = ours(prologue=[f"rm {work}/.cerebatch-check"])
        status, lines = say("check", profile, "--out", tmp_path / "out", "--work", work)
        assert status == 1
        assert wrong(lines) == [
            f"cpu: {work} on cpu1: is another folder than on this machine: what was written here is not seen there. "
            "Give a folder on a file system that the nodes share"
        ]

    def test_a_driver_that_nodes_do_not_reach(
        self, say: Say, tmp_path: Path, ours: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = profile_check._Trial._request
        monkeypatch.setattr(profile_check._Trial, "_request", lambda *of: request(*of) | {"port": 1})
        status, lines = say("check", ours(), "--out", tmp_path / "out")
        assert status == 1
        (words,) = wrong(lines)
        assert "from cpu1: cannot be reached: [Errno 111] Connection refused. Give another `interface`" in words

    def test_a_job_that_does_not_start_is_cancelled(self, say: Say, tmp_path: Path, ours: Callable[..., Path]) -> None:
        profile = ours(directives=["--begin=now+1hour"])
        status, lines = say("check", profile, "--out", tmp_path / "out", "--wait", "0.02")
        assert status == 1
        (words,) = wrong(lines)
        assert "has not reported (PENDING). Wait longer (--wait), or ask for less: 1 cores, 0.5 GB, 00:05:00" in words
        done = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True)
        assert done.stdout == ""
