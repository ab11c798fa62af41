"""One job of a batch scheduler, seen through dask-jobqueue's class for that scheduler.

The class writes the header, knows the commands and reads the job's id from what they print. What the profile
leaves out is filled in by the user's configuration of dask-jobqueue (``~/.config/dask/jobqueue.yaml``).
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebatch.batch.cluster.profile import Cluster, GpuClass, JobClass
from cerebatch.errors import QueueError, SettingsError

_COMMAND_SECONDS = 60.0
_DEATH_SECONDS = 60
_OBJECT_STORE_BYTES = 200_000_000
_PYTHON_OPTIONS = "-P"  # what lies in the folder from which a job was submitted is not to be imported
_PLAIN_PATH = r"[\w./+~@:=-]+"
_NO_SUCH_JOB = re.compile(r"(invalid|unknown) job|not found|does not exist|no such job", re.IGNORECASE)

ACTOR = "cerebatch_actor"
"""Resource of Ray: places for actors."""

RAY_JOB_LABEL = "cerebatch-job"
"""Label of a Ray node that holds the name of its job."""


@dataclass(frozen=True)
class WorkerPlace:
    """What a worker has to know, as paths that all nodes see.

    Attributes
    ----------
    scheduler_address : str
        Of the Dask scheduler, ``tls://HOST:PORT``.
    tls_ca, tls_cert, tls_key : Path
        Files that only the user may read.
    folder : Path
        Gets job scripts and the logs of jobs.
    """

    scheduler_address: str
    tls_ca: Path
    tls_cert: Path
    tls_key: Path
    folder: Path


class BatchJob:
    """One job.

    Parameters
    ----------
    profile : Cluster
    job_class : JobClass
    place : WorkerPlace
    name : str
        Unlike that of any other job; also the name of the Dask worker.
    command : str, optional
        Shell command, quoted and in one line; left out, the job is a Dask worker.

    Raises
    ------
    SettingsError
        dask-jobqueue cannot write a job for this scheduler from this profile.
    """

    def __init__(
        self, profile: Cluster, job_class: JobClass, place: WorkerPlace, name: str, command: str | None = None
    ) -> None:
        self.name = name
        self.job_id = ""
        self.python = _python(profile)
        self._folder, self._state_command = place.folder, profile.job_state
        self._job = _job(profile, job_class, place, name)
        if command is not None:
            # HTCondor's class has put the prologue before the worker's command; it stays.
            before, _, _ = self._job._command_template.partition(f"{self.python} -m ")
            self._job._command_template = before + command

    @property
    def script(self) -> str:
        """The text that is submitted."""
        return str(self._job.job_script())

    @property
    def script_path(self) -> Path:
        """Where the text is written when the job is submitted."""
        return self._folder / f"{self.name}.sh"

    @property
    def submit_command(self) -> str:
        """Program and options that take a script."""
        return str(self._job.submit_command)

    def submit(self) -> str:
        """Write the script and submit it.

        Returns
        -------
        job_id : str

        Raises
        ------
        QueueError
            The script could not be written, or the scheduler did not take it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.script_path.write_text(self.script)
            printed = asyncio.run(self._job._submit_job(str(self.script_path)))
            self.job_id = str(self._job._job_id_from_submit_output(printed))
        except OSError as error:
            raise QueueError(f"{self.script_path} cannot be written: {error.strerror or error}") from error
        except ValueError as error:  # no id in what the command printed
            raise QueueError(f"{self.submit_command} {self.script_path}: {error}") from error
        return self.job_id

    def state(self) -> str | None:
        """The scheduler's word for what the job does; empty once it is gone, None where it cannot be told."""
        if not self._state_command or not self.job_id:
            return None
        try:
            return run_command(shlex.split(self._state_command.replace("{id}", self.job_id))).strip()
        except QueueError as error:
            return "" if _NO_SUCH_JOB.search(str(error)) else None

    def log_end(self, lines: int = 3) -> str:
        """The last lines of the job's own log in one line, as far as it has one."""
        logs = sorted(self._folder.glob(f"*{self.name}*.err"))
        try:
            text = logs[-1].read_text(errors="replace").strip() if logs else ""
        except OSError:
            return ""
        return " / ".join(text.splitlines()[-lines:])


def cancel(jobs: Iterable[BatchJob]) -> None:
    """Cancel jobs that were submitted with one profile; those that are gone do no harm.

    Raises
    ------
    QueueError
        The scheduler did not answer.
    """
    submitted = [job for job in jobs if job.job_id]
    if submitted:
        command = shlex.split(submitted[0]._job.cancel_command)
        try:
            run_command([*command, *(job.job_id for job in submitted)])
        except QueueError as error:
            if not _NO_SUCH_JOB.search(str(error)):
                raise


def ray_node(profile: Cluster, gpu: GpuClass, address: str, *, token: Path | None = None) -> Callable[[str], str]:
    """The command of jobs that join a Ray cluster.

    Parameters
    ----------
    profile : Cluster
    gpu : GpuClass
    address : str
        ``HOST:PORT`` of the head.
    token : Path, optional
        File with Ray's token, that only the user may read.

    Returns
    -------
    command_of : callable
        Name of a job -> shell command. The node has the name as its label `RAY_JOB_LABEL`.
    """
    guard = f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={shlex.quote(str(token))} " if token else ""

    def command(name: str) -> str:
        options = [
            f"--address={address}", "--block", "--disable-usage-stats", "--num-cpus=0", f"--num-gpus={gpu.gpus}",
            f"--resources={json.dumps({ACTOR: gpu.actors})}", f"--labels={RAY_JOB_LABEL}={name}",
            f"--object-store-memory={_OBJECT_STORE_BYTES}",
        ]  # fmt: skip
        # A short folder of its own: sockets lie in it, and two nodes that start in one folder crash each other.
        # Ray opens its folder to everybody, so it gets one inside.
        # Backticks, for in HTCondor's files $( ) means something else.
        return (
            "cerebatch_ray=`mktemp -d /tmp/ray-XXXXXX` && trap 'rm -rf \"$cerebatch_ray\"' EXIT && "
            f"RAY_USAGE_STATS_ENABLED=0 {guard}{_python(profile)} -m ray.scripts.scripts start "
            f'{shlex.join(options)} --temp-dir="$cerebatch_ray/r"'
        )

    return command


def python_command(profile: Cluster, script: str, arguments: Sequence[str]) -> str:
    """The command of a job that runs the text of a Python script."""
    return f"{_python(profile)} -c {shlex.join([script, *arguments])}"


def run_command(command: Sequence[str], *, shell: bool = False, folder: Path | None = None) -> str:
    """What a command prints that runs in a folder.

    Raises
    ------
    QueueError
        It is not there, failed, or gave no answer in a minute.
    """
    words = " ".join(command)
    try:
        done = subprocess.run(
            words if shell else command, shell=shell, capture_output=True, text=True, timeout=_COMMAND_SECONDS,
            stdin=subprocess.DEVNULL, start_new_session=True, cwd=folder,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise QueueError(f"{words}: no answer in {_COMMAND_SECONDS:.0f} s") from error
    except OSError as error:
        raise QueueError(f"{words}: {error.strerror}") from error
    if done.returncode != 0:
        said = "; ".join((done.stderr or done.stdout).strip().splitlines())
        raise QueueError(f"{words}: {said or f'exit status {done.returncode}'}")
    return done.stdout


def _job(profile: Cluster, job_class: JobClass, place: WorkerPlace, name: str) -> Any:
    import dask

    kind = _class_of(profile.scheduler, place.folder)
    configured: dict[str, Any] = dask.config.get(f"jobqueue.{profile.scheduler}")
    asked = {"queue": job_class.queue, "account": job_class.account, "walltime": job_class.walltime}
    taken = inspect.signature(kind.__init__).parameters
    if "account" not in taken:  # LSF, SGE and OAR call it so
        asked["project"] = asked.pop("account")
    options: dict[str, Any] = {
        option: value for option, value in asked.items() if value is not None and option in taken
    }
    for option in ("queue", "account", "project"):
        if asked.get(option) is not None and option not in options:
            raise SettingsError(f"profile: `{option}` of class {job_class.name}: {profile.scheduler} knows none")
    options["job_extra_directives"] = _directives(configured.get("job-extra-directives"), job_class)
    # In a header no path can be quoted; without the option the log goes to where the job was submitted: this folder.
    if re.fullmatch(_PLAIN_PATH, str(place.folder)):
        options["log_directory"] = str(place.folder)
    if not configured.get("local-directory"):
        options["local_directory"] = '"${TMPDIR:-/tmp}"'
    try:
        return kind(
            shlex.quote(place.scheduler_address),
            name=name,
            job_name=name,
            cores=job_class.cores,
            memory=f"{round(job_class.memory_gb * 1e9)}B",
            processes=1,
            # Stages run in child processes of the worker, so it hardly ever dies itself. If it does, the job is to
            # end with it: a nanny would start a second worker in a job that has been replaced already.
            nanny=False,
            death_timeout=_DEATH_SECONDS,
            python=_python(profile),
            job_script_prologue=[*(configured.get("job-script-prologue") or []), *job_class.prologue],
            worker_extra_args=[
                *(configured.get("worker-extra-args") or []),
                "--no-dashboard",
                "--resources",
                shlex.quote(f"cores={job_class.cores},memory_gb={job_class.memory_gb:g}"),
                *(
                    part
                    for option, path in (("ca-file", place.tls_ca), ("cert", place.tls_cert), ("key", place.tls_key))
                    for part in (f"--tls-{option}", shlex.quote(str(path)))
                ),
            ],
            **options,
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"profile: dask-jobqueue writes no job for {profile.scheduler}: {error}") from error


def _directives(configured: list[str] | dict[str, str] | None, job_class: JobClass) -> list[str] | dict[str, str]:
    """Lines for the header, those of the user first; for HTCondor they are pairs."""
    if not isinstance(configured, dict):
        return [*(configured or []), *job_class.directives]
    pairs = dict(configured)
    for line in job_class.directives:
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise SettingsError(
                f"profile: `directives` of class {job_class.name}: expected NAME = VALUE, found {line!r}"
            )
        pairs[name] = value
    return pairs


def _class_of(scheduler: str, folder: Path) -> type[Any]:
    """dask-jobqueue's class of jobs, with all its commands going through `run_command`, in a folder."""
    module = importlib.import_module(f"dask_jobqueue.{scheduler}")
    found = next(
        one for one in vars(module).values() if inspect.isclass(one) and one.__dict__.get("config_name") == scheduler
    )

    async def call(command: Sequence[str], *, shell: bool = False) -> str:
        return run_command(command, shell=shell, folder=folder)

    return type(found.__name__, (found,), {"_call": staticmethod(call)})


def _python(profile: Cluster) -> str:
    """The interpreter on the nodes, quoted, with options: the profile's, dask-jobqueue's, or the path of this one."""
    import dask

    if profile.python:
        return f"{shlex.join(profile.python)} {_PYTHON_OPTIONS}"

    importlib.import_module("dask_jobqueue")  # its defaults become part of dask's configuration
    return f"{shlex.quote(dask.config.get(f'jobqueue.{profile.scheduler}.python') or sys.executable)} {_PYTHON_OPTIONS}"
