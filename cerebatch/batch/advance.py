"""One step of one case, where it runs: plan, see what is missing, run one stage, write it down."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.lease import is_lost
from cerebatch.batch.ledger.records import (
    DISK_FULL,
    Failure,
    Fault,
    Record,
    publish,
    read_model,
    read_record,
    utc_now,
    write_model,
)
from cerebatch.errors import CerebatchError, InstallationError, QueueError
from cerebatch.io.process import node_name
from cerebatch.io.stamp import FileStamp
from cerebatch.io.temporary import sweep, temporary_folder


@dataclass(frozen=True)
class Call:
    """What the driver asks for.

    Attributes
    ----------
    job : Job
    stage : str
        That this place is fit for; if another is missing, nothing is run.
    needs : Needs
        Of that stage: what it has here.
    most_gb : float
        Memory that it could have in this run, if it were tried again for lack of it; GB.
    retry_failed : bool
        Whether to try again what would fail again.
    attempt : int
        Number of this call among those of the case; its events carry it.
    run : str
        Id of the run that holds the case; once another has taken it nothing more is written. Empty: nobody holds it.
    lease_seconds : float
        After so long without renewal another run may take the case.
    avoid : tuple of str
        Hosts where it had better not run, if there are others.
    """

    job: Job
    stage: str
    needs: Needs
    most_gb: float = 0.0
    retry_failed: bool = False
    attempt: int = 0
    run: str = ""
    lease_seconds: float = 120.0
    avoid: tuple[str, ...] = ()

    @property
    def is_taken_over(self) -> bool:
        """Whether another run took the case, because this one was not heard of for too long."""
        return bool(self.run) and is_lost(self.job.lease_path, self.run)

    @property
    def limits(self) -> dict[str, float]:
        """The most memory and time that the run can give, as failures name them."""
        return {"memory_gb": max(self.needs.memory_gb, self.most_gb), "minutes": self.needs.minutes}


@dataclass(frozen=True)
class Progress:
    """What came of a call.

    Attributes
    ----------
    case : str
    ran : str
        Stage that was run, empty if none was.
    seconds : float
        That it took.
    next : str
        Stage that is missing now, empty when the case is done.
    failure : Failure or None
        Why the case cannot go on.
    known : bool
        Whether the failure is one of an earlier run, not tried again.
    taken_over : bool
        Whether the case is another run's by now; nothing was published.
    host : str
        Where it came of.
    """

    case: str
    ran: str = ""
    seconds: float = 0.0
    next: str = ""
    failure: Failure | None = None
    known: bool = False
    taken_over: bool = False
    host: str = ""


class _TakenOverError(Exception):
    """Another run has the case."""


def missing(job: Job, stages: list[Stage]) -> list[Stage]:
    """The stages that have to run, in order."""
    return look(job, stages)[0]


def look(job: Job, stages: list[Stage]) -> tuple[list[Stage], dict[Path, Record]]:
    """The stages that have to run, in order, and records whose files have other times today, with these times.

    Seen backwards: once a stage is done, what led to it may be gone.
    """
    to_do: list[Stage] = []
    touched: dict[Path, Record] = {}
    done = False
    for stage in reversed(stages):
        if done and not any(isinstance(stamp, FileStamp) for stamp in stage.inputs.values()):
            continue
        path = job.record_path(stage.name)
        record = read_record(path)
        found = None
        if record is not None and record.key == stage.key:
            found = record if done else record.refreshed(stage.folder)
        if found is not None:
            done = True
            found = found.model_copy(update={"inputs": stage.inputs})
            touched |= {path: found} if found != record else {}
        elif not done:
            to_do.insert(0, stage)
    return to_do, touched


def advance(call: Call, tell: Tell) -> Progress:
    """Carry a case one stage on.

    Parameters
    ----------
    call : Call
    tell : callable
        Gets an `Event` when a stage starts and when it has finished.

    Returns
    -------
    progress : Progress
        Whatever a stage raises is a failure in it. Only what ends a process goes further.
    """
    return replace(_advance(call, tell), host=node_name())


def _advance(call: Call, tell: Tell) -> Progress:
    job = call.job
    stage_name, key = call.stage, ""
    try:
        _require_ours(call)
        to_do, touched = look(job, job.plan())
        for path, record in touched.items():
            with contextlib.suppress(OSError):  # the bytes are read again next time
                write_model(path, record)
        if not to_do:
            _end(call, tell)
            return Progress(job.name)
        stage = to_do[0]
        stage_name, key = stage.name, stage.key
        if stage.name != call.stage:
            return Progress(job.name, next=stage.name)
        if not call.retry_failed:
            before = read_model(job.failure_path, Failure)
            if before is not None and before.would_repeat(stage.name, stage.key, call.limits):
                return Progress(job.name, failure=before, known=True)
        seconds = _run(call, stage, tell)
    except Exception as error:
        if call.is_taken_over:  # and what it needs may be gone
            return Progress(job.name, taken_over=True)
        failure = _failure(call, stage_name, key, error)
        return Progress(job.name, failure=failure)
    after = to_do[1].name if len(to_do) > 1 else ""
    if not after:
        _end(call, tell)
    return Progress(job.name, stage.name, seconds, after)


def _require_ours(call: Call) -> None:
    if call.is_taken_over:
        raise _TakenOverError


def _end(call: Call, tell: Tell) -> None:
    """What remains to do in a done case, unless another run has it and may read what would go."""
    if call.is_taken_over:
        return
    clean(call.job)
    if call.job.afterwards is None:
        return
    try:
        why = call.job.afterwards()
    except Exception as error:  # the case is done all the same
        why = f"unexpected {type(error).__name__}: {error}"
    if why:
        noted(call.job, f"afterwards: {why}")
        tell(Event(call.job.name, "said", message=why))


def clean(job: Job) -> None:
    """Remove what a done case needs no more."""
    job.failure_path.unlink(missing_ok=True)
    if not job.keep_work:
        shutil.rmtree(job.scratch, ignore_errors=True)


def _run(call: Call, stage: Stage, tell: Tell) -> float:
    job = call.job
    note(job, f"started {stage.name}")
    tell(Event(job.name, "started", stage.name, key=stage.key, attempt=call.attempt))
    began, started = utc_now(), time.perf_counter()
    for output in (stage.folder, job.record_path(stage.name)):
        sweep(output, untouched_seconds=call.lease_seconds)
    with temporary_folder(beside=stage.folder) as folder:
        steps = stage.make(folder)
        _require_ours(call)
        outputs = publish(folder, stage.folder)
    seconds = time.perf_counter() - started
    record = Record(
        stage=stage.name,
        version=stage.version,
        key=stage.key,
        inputs=stage.inputs,
        settings=stage.settings,
        outputs=outputs,
        folder=str(stage.folder.relative_to(job.out_dir) if stage.folder.is_relative_to(job.out_dir) else stage.folder),
        information={
            "began": began,
            "seconds": round(seconds, 3),
            "steps": [
                {"name": step.name, "seconds": round(step.seconds, 3), "peak_mb": step.peak_mb} for step in steps
            ],
            "host": platform.node(),
            "threads": call.needs.threads,
        },
    )
    write_model(job.record_path(stage.name), record)
    note(job, f"finished {stage.name} {seconds:.1f} s")
    tell(Event(job.name, "finished", stage.name, seconds))
    return seconds


def note(job: Job, line: str) -> None:
    """Add a line to the log of a case; one write, so that lines of two processes do not mix."""
    job.log_path.parent.mkdir(parents=True, exist_ok=True)
    with job.log_path.open("a") as stream:
        stream.write(f"{utc_now()} {platform.node()} {os.getpid()} {line}\n")


def noted(job: Job, line: str) -> None:
    """Add to the log of a case; a run must not end because that cannot be done."""
    with contextlib.suppress(OSError):
        note(job, line)


def _failure(call: Call, stage: str, key: str, error: Exception) -> Failure:
    job, kind, message, host = call.job, type(error).__name__, str(error), node_name()
    if is_full(error):
        kind = DISK_FULL
        message = (
            f"no space left on {host} for {getattr(error, 'filename', None) or job.out_dir}. Free some, or give "
            "another --work or OUT_DIR; the next run tries again."
        )
    elif not isinstance(error, CerebatchError):
        noted(job, "".join(traceback.format_exception(error)).rstrip())
        message = f"unexpected {kind} on {host}: {error}. The details are in logs/{job.log_path.name}."
    return Failure(
        case=job.name, stage=stage, kind=kind, message=message, key=key, limits=call.limits, host=host,
        fault=fault_of(error),
    )  # fmt: skip


def fault_of(error: BaseException) -> Fault:
    """Whose fault an error is, looking at what caused it, too.

    Only errors that cerebatch raises on purpose can be the case's: whatever else is raised may be due to the host.
    """
    cause: BaseException | None = error
    while cause is not None:
        by_system = isinstance(cause, OSError) and cause.errno is not None  # broken gzip is an OSError without number
        if by_system or isinstance(cause, ImportError | MemoryError | InstallationError | QueueError):
            return "place"
        cause = cause.__cause__
    return "case" if isinstance(error, CerebatchError) else "unknown"


def is_full(error: Exception) -> bool:
    """Whether there was no space on a disk, or none that the user may have."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
