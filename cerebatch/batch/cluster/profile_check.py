"""Whether a profile will do, found out before a run: folders, space, and a small job of each class."""

from __future__ import annotations

import json
import os
import platform
import queue
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from cerebatch.batch.cluster.job_script import BatchJob, WorkerPlace, cancel, python_command
from cerebatch.batch.cluster.machine import address_on
from cerebatch.batch.cluster.profile import Cluster, GpuClass, JobClass, Local, Profile
from cerebatch.errors import QueueError, SettingsError

WORK_MB, FINE_WORK_MB, OUT_MB, FILES = 5.0, 38.0, 12.0, 30
"""Of a case: intermediate files at 1 and at 0.5 mm, outputs (10^6 bytes), and the number of all of them."""

_PACKAGES = ("cerebatch", "dask", "distributed", "ray")
_MODULES = ("cerebatch", "cerebatch._kernels")
_LOOK_SECONDS, _GRACE_SECONDS = 1.0, 3.0
_MARKER = ".cerebatch-check"
_LARGEST_REPORT = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    ok : bool
    words : str
        What was found, and what to do if it is wrong.
    """

    ok: bool
    words: str


@dataclass(frozen=True)
class Cohort:
    """What a run will write.

    Attributes
    ----------
    out_dir, work_dir : Path
    cases : int
    fine : bool
        At 0.5 mm.
    """

    out_dir: Path
    work_dir: Path
    cases: int = 1
    fine: bool = False

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each folder once."""
        return tuple(dict.fromkeys((self.out_dir, self.work_dir)))


def check(profile: Profile, cohort: Cohort, *, wait_minutes: float = 10.0) -> Iterator[Finding]:
    """Look at everything that can be known before a run.

    Parameters
    ----------
    profile : Profile
    cohort : Cohort
    wait_minutes : float
        How long test jobs may wait in the queue.

    Yields
    ------
    finding : Finding
        As it is made. Folders that were made for the check are gone afterwards.
    """
    with _made(cohort.folders) as problems:
        for folder in cohort.folders:
            problem = problems[folder]
            yield Finding(not problem, f"{folder}: {problem or 'can be written'}")
        if any(problems.values()):
            return
        yield from _space(cohort)
        if isinstance(profile, Local):
            cores, memory_gb = profile.all_cores(), profile.usable_memory_gb()
            yield Finding(True, f"this machine: {cores} cores, {memory_gb:.1f} GB for the run")
        elif isinstance(profile, Cluster):
            yield from _jobs(profile, cohort, wait_minutes)


@contextmanager
def _made(folders: Sequence[Path]) -> Iterator[dict[Path, str]]:
    """Make folders, say what is wrong with each, and remove in the end what was made and stayed empty."""
    new = [parent for folder in folders for parent in (folder, *folder.parents) if not parent.exists()]
    problems = {}
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _MARKER).touch()
            problems[folder] = ""
        except OSError as error:
            problems[folder] = (
                f"cannot be written: {error.strerror}. Give another folder, or ask for the right to write"
            )
    try:
        yield problems
    finally:
        for folder in folders:
            with suppress(OSError):
                (folder / _MARKER).unlink()
        for folder in sorted(set(new), key=lambda path: -len(path.parts)):
            with suppress(OSError):
                folder.rmdir()


def _space(cohort: Cohort) -> Iterator[Finding]:
    needed_mb: dict[int, float] = {}
    folders: dict[int, list[Path]] = {}
    work_mb = FINE_WORK_MB if cohort.fine else WORK_MB
    for folder, mb in ((cohort.out_dir, OUT_MB), (cohort.work_dir, work_mb)):
        device = folder.stat().st_dev
        needed_mb[device] = needed_mb.get(device, 0.0) + mb * cohort.cases
        folders.setdefault(device, []).append(folder)
    for device, mb in needed_mb.items():
        found = os.statvfs(folders[device][0])
        free_gb, files = found.f_bavail * found.f_frsize / 1e9, cohort.cases * FILES
        # Some file systems do not count files and say 0.
        enough = free_gb * 1e3 >= mb and (found.f_files == 0 or found.f_favail >= files)
        free_files = f" and {found.f_favail} files" if found.f_files else ""
        yield Finding(
            enough,
            f"{', '.join(map(str, dict.fromkeys(folders[device])))}: for {cohort.cases} "
            f"case{'s' * (cohort.cases > 1)} about {mb / 1e3:.2f} GB and {files} files are needed, "
            f"{free_gb:.1f} GB{free_files} are free"
            + (" (a quota is not seen)" if enough else ". Free some, or give another folder"),
        )


def _jobs(profile: Cluster, cohort: Cohort, wait_minutes: float) -> Iterator[Finding]:
    try:
        host = address_on(profile.interface)
        with socket.create_server((host, 0)) as server:
            trial = _Trial(profile, cohort, server)
            yield Finding(True, f"this machine: nodes will reach it at {host}")
            yield from trial.run(wait_minutes)
    except (SettingsError, OSError) as error:
        yield Finding(False, str(error))


class _Trial:
    """One small job of each class, and what they report."""

    def __init__(self, profile: Cluster, cohort: Cohort, server: socket.socket) -> None:
        self._profile, self._cohort, self._server = profile, cohort, server
        self._id = secrets.token_hex(4)
        self._folder = cohort.out_dir / "logs" / "jobs" / f"check-{self._id}"
        self._reports: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._began: dict[str, float] = {}

    def run(self, wait_minutes: float) -> Iterator[Finding]:
        """Submit, wait, tell, and cancel what has not started."""
        threading.Thread(target=self._listen, daemon=True).start()
        waiting: dict[str, tuple[JobClass, BatchJob]] = {}
        all_well = True
        with _made((self._folder,)):
            try:
                for finding in self._submit(waiting):
                    all_well = False
                    yield finding
                for finding in self._wait(waiting, time.monotonic() + 60 * wait_minutes):
                    all_well &= finding.ok
                    yield finding
            finally:
                with suppress(QueueError):
                    cancel(job for _, job in waiting.values())
                if all_well:
                    shutil.rmtree(self._folder, ignore_errors=True)

    def _submit(self, waiting: dict[str, tuple[JobClass, BatchJob]]) -> Iterator[Finding]:
        nowhere = Path("none")
        place = WorkerPlace("none", nowhere, nowhere, nowhere, self._folder)
        script = resources.files("cerebatch.batch.cluster").joinpath("node_report.py").read_text()
        for job_class in self._profile.classes:
            name = f"cerebatch-check-{self._id}-{job_class.name}"
            command = python_command(self._profile, script, [json.dumps(self._request(name))])
            job = BatchJob(self._profile, job_class, place, name, command)
            try:
                job.submit()
            except QueueError as error:
                yield Finding(False, f"{job_class.name}: the job was not taken: {error}")
            else:
                waiting[name], self._began[name] = (job_class, job), time.monotonic()

    def _request(self, name: str) -> dict[str, Any]:
        host, port = self._server.getsockname()[:2]
        return {
            "name": name,
            "host": host,
            "port": port,
            "packages": _PACKAGES,
            "modules": _MODULES,
            "folders": [str(folder) for folder in self._cohort.folders],
            "marker": _MARKER,
            "file": str(self._folder / f"{name}.json"),
        }

    def _wait(self, waiting: dict[str, tuple[JobClass, BatchJob]], deadline: float) -> Iterator[Finding]:
        gone: dict[str, float] = {}
        while waiting and time.monotonic() < deadline:
            for report in self._next_reports():
                if report.get("name") in waiting:
                    job_class, _ = waiting.pop(report["name"])
                    yield from self._findings(job_class, report)
            for name, (job_class, job) in list(waiting.items()):
                if job.state() == "" and time.monotonic() - gone.setdefault(name, time.monotonic()) > _GRACE_SECONDS:
                    del waiting[name]
                    yield Finding(False, f"{job_class.name}: {_silent(job)}")
        for job_class, job in waiting.values():
            state = f" ({state})" if (state := job.state()) else ""
            yield Finding(
                False,
                f"{job_class.name}: job {job.job_id} has not reported{state}. Wait longer (--wait), or ask for less: "
                f"{job_class.cores} cores, {job_class.memory_gb:g} GB, {job_class.walltime}",
            )

    def _next_reports(self) -> Iterator[dict[str, Any]]:
        with suppress(queue.Empty):
            yield self._reports.get(timeout=_LOOK_SECONDS)
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError):
                yield json.loads(path.read_text())

    def _listen(self) -> None:
        with suppress(OSError):  # closed: the check is over
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._receive, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            connection.settimeout(15)
            with connection.makefile("rb") as stream:
                found = json.loads(stream.read(_LARGEST_REPORT))
            if isinstance(found, dict):
                self._reports.put(found)

    def _findings(self, job_class: JobClass, report: dict[str, Any]) -> Iterator[Finding]:
        name, node = job_class.name, report["node"]
        waited = max(0.0, time.monotonic() - self._began[report["name"]] - report["seconds"])
        yield Finding(True, f"{name}: the job started after {waited:.0f} s, on {node}")
        for folder, problem in report["folders"].items():
            do = f"{problem}. Give a folder on a file system that the nodes share"
            yield Finding(not problem, f"{name}: {folder} on {node}: {do if problem else 'can be written'}")
        here = {"Python": platform.python_version()} | {package: metadata.version(package) for package in _PACKAGES}
        there = {"Python": report["python"]} | report["versions"]
        other = [f"{what} {there[what]} instead of {here[what]}" for what in here if there[what] != here[what]]
        do = f"{', '.join(other)}. Give nodes and this machine one environment (`prologue`, or `python`)"
        same = ", ".join(f"{what} {version}" for what, version in here.items())
        yield Finding(not other, f"{name}: {do if other else same + ' as here'}")
        for module, problem in report["modules"].items():
            if problem:
                yield Finding(False, f"{name}: {module} cannot be imported on {node}: {problem}")
        problem = report["driver"]
        do = f"cannot be reached: {problem}. Give another `interface`, or run the driver in a job"
        host, port = self._server.getsockname()[:2]
        yield Finding(not problem, f"{name}: this machine ({host}:{port}) from {node}: {do if problem else 'reached'}")
        if isinstance(job_class, GpuClass) and job_class.gpus:
            enough = report["gpus"] >= job_class.gpus
            do = "" if enough else ". Ask for them in `directives`, as --gres=gpu:1"
            yield Finding(enough, f"{name}: {report['gpus']} of {job_class.gpus} GPUs given to the job on {node}{do}")


def _silent(job: BatchJob) -> str:
    end = job.log_end()
    return (
        f"job {job.job_id} ended and reported nothing"
        + (f": {end}" if end else "")
        + f". See {job.script_path.parent}; most often the node has no such Python ({job.python}), or does not see it"
    )
