"""Pools of jobs: so many of a class are kept in the queue or at work, and lost ones are submitted again."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cerebatch.batch.cluster.job_script import BatchJob, WorkerPlace, cancel, ray_node
from cerebatch.batch.cluster.profile import Cluster, JobClass
from cerebatch.errors import QueueError

__all__ = ["JobPool", "Pace", "Resubmits", "WorkerPlace", "ray_node"]

_TOGETHER = 50
"""Jobs that one cancel command names: a line of commands is limited."""
_WILL_PASS = re.compile(
    r"unable to contact|timed out|no answer in|temporarily|connection|communication|try again|limit", re.IGNORECASE
)
"""What a scheduler says that is busy, away, or has enough of us for now: no job was lost."""
_LOGS_AT_MOST = 100
_LOOKS = 10
"""Jobs that are asked for at one look: the scheduler has others to serve."""


@dataclass(frozen=True)
class Pace:
    """How often a pool looks and tries, in seconds.

    Attributes
    ----------
    look : float
        Between two looks at jobs that have not arrived; each costs the scheduler one request a job.
    retry : float
        After a job that was not taken or ended before it arrived; twice as long after each one more.
    longest : float
        Limit of that.
    """

    look: float = 20.0
    retry: float = 5.0
    longest: float = 300.0


class Resubmits:
    """How many lost jobs may still be submitted again, in all pools of a run.

    Parameters
    ----------
    limit : int
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._left, self._lock = limit, threading.Lock()

    def take(self) -> bool:
        """Use one up, if one is left."""
        with self._lock:
            if self._left == 0:
                return False
            self._left -= 1
            return True


@dataclass
class _Job:
    batch: BatchJob
    since: float
    arrived: bool = False
    looked: float = 0.0
    state: str | None = None


class JobPool:
    """Jobs of one class. What it is told takes effect soon; its methods may be called from any thread.

    Parameters
    ----------
    profile : Cluster
    job_class : JobClass
        One of the profile's.
    place : WorkerPlace
    run : str
        Id of the run; part of the names of the jobs.
    tell : callable
        Gets sentences for the person who started the run; called from a thread of the pool.
    resubmits : Resubmits
        Shared by the pools of a run.
    command_of : callable, optional
        Name of a job -> its shell command, as `ray_node` gives it; left out, the jobs are Dask workers.
    pace : Pace, optional

    Raises
    ------
    SettingsError
        dask-jobqueue cannot write jobs from this profile.
    """

    def __init__(
        self,
        profile: Cluster,
        job_class: JobClass,
        place: WorkerPlace,
        run: str,
        *,
        tell: Callable[[str], None],
        resubmits: Resubmits,
        command_of: Callable[[str], str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._profile, self._class, self._place, self._run = profile, job_class, place, run
        self._tell, self._resubmits, self._command_of = tell, resubmits, command_of
        self._pace = pace or Pace()
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._keeper: threading.Thread | None = None
        self._jobs: dict[str, _Job] = {}
        self._ended: dict[str, BatchJob] = {}
        self._to_cancel: list[BatchJob] = []
        self._to_tell: list[str] = []
        self._told: set[str] = set()
        self._lost: list[str] = []
        self._wanted = self._submitted = self._in_a_row = 0
        self._busy: frozenset[str] = frozenset()
        self._most = job_class.jobs
        self._not_before = self._looked = 0.0
        self._closing = False
        self._job(0)  # what is wrong with the profile shows before anything starts

    @property
    def alive(self) -> int:
        """Jobs in the queue or at work."""
        with self._lock:
            return len(self._jobs)

    @property
    def is_spent(self) -> bool:
        """Whether there will be no job again: all were lost, and no more may be submitted."""
        return self._most == 0

    def want(self, jobs: int, busy: Collection[str] = ()) -> None:
        """Keep so many jobs alive, at most those of the class; the rest is cancelled, waiting ones first.

        Parameters
        ----------
        jobs : int
        busy : collection of str, optional
            Names of jobs that are at work: they are not cancelled.
        """
        with self._lock:
            self._wanted, self._busy = jobs, frozenset(busy)
            if self._keeper is None and jobs > 0 and not self._closing:
                self._keeper = threading.Thread(target=self._keep, name=f"jobs-{self._class.name}", daemon=True)
                self._keeper.start()
        self._woken.set()

    def arrived(self, job_name: str) -> bool:
        """Take note that the worker of a job has connected.

        Returns
        -------
        belongs : bool
            False for a job that was given up before, as one that a drained node brings back: it is cancelled.
        """
        with self._lock:
            job = self._jobs.get(job_name)
            if job is not None:
                job.arrived = True
                self._in_a_row, self._not_before = 0, 0.0
            elif job_name in self._ended:
                self._to_cancel.append(self._ended[job_name])
        self._woken.set()
        return job is not None

    def left(self, job_name: str, *, expected: bool = False) -> None:
        """Take note that the worker of a job has disconnected, and replace the job if it is still wanted.

        Parameters
        ----------
        job_name : str
        expected : bool
            The worker was told to leave, for its time was up: this is no loss.
        """
        with self._lock:
            if job_name in self._jobs:
                self._end(job_name)
                if not expected:
                    self._lost.append(job_name)
                    self._lose()
        self._woken.set()

    def close(self) -> None:
        """Cancel all jobs; returns when the scheduler has been told."""
        with self._lock:
            self._closing = True
        self._woken.set()
        if self._keeper is not None:
            self._keeper.join()
        with self._lock:
            for name in list(self._jobs):
                self._end(name)
        self._cancel()
        self._keep_logs()
        self._say()

    def _keep_logs(self) -> None:
        """Logs of jobs that were lost outlive the folder of the run."""
        logs = [
            log for name in self._lost for end in ("err", "out") for log in self._place.folder.glob(f"*{name}*.{end}")
        ]
        if not logs:
            return
        kept = self._place.folder.parent / f"{self._run}-lost-jobs"
        with contextlib.suppress(OSError):
            kept.mkdir(mode=0o700, exist_ok=True)
            for log in logs[-_LOGS_AT_MOST:]:
                shutil.copy(log, kept)
            with self._lock:
                self._note("logs", f"{len(self._lost)} jobs were lost; their logs: {kept}")

    def _keep(self) -> None:
        while not self._closing:
            try:
                self._cancel()
                self._look()
                self._submit()
            except Exception as error:  # a pool that stops without a word would let the run wait for ever
                with self._lock:
                    self._hold()
                    self._note(str(error), f"unexpected {type(error).__name__}: {error}")
            self._say()
            self._woken.wait(self._pause())
            self._woken.clear()

    def _pause(self) -> float:
        with self._lock:
            if self._missing() > 0:
                return min(self._pace.look, max(0.01, self._not_before - time.monotonic()))
            return self._pace.look

    def _cancel(self) -> None:
        with self._lock:
            idle = self._jobs.keys() - self._busy
            by_use = sorted(idle, key=lambda name: (self._jobs[name].arrived, -self._jobs[name].since))
            for name in by_use[: max(0, -self._missing())]:
                self._end(name)
            batch, self._to_cancel = self._to_cancel, []
        for start in range(0, len(batch), _TOGETHER):
            try:
                cancel(batch[start : start + _TOGETHER])
            except QueueError as error:
                with self._lock:
                    self._note("cancel", f"some could not be cancelled: {error}. They end by themselves after the run.")

    def _look(self) -> None:
        """Find jobs that ended before they arrived, and those that take long."""
        now = time.monotonic()
        if now - self._looked < self._pace.look:
            return
        self._looked = now
        with self._lock:
            waiting = [job for job in self._jobs.values() if not job.arrived and job.batch.job_id]
        for job in sorted(waiting, key=lambda job: job.looked)[:_LOOKS]:
            job.looked, job.state = now, job.batch.state()
        with self._lock:
            for job in waiting:
                if job.state == "" and not job.arrived and job.batch.name in self._jobs:
                    self._end(job.batch.name)
                    self._lost.append(job.batch.name)
                    self._hold()
                    self._note("vanished", _vanished(job.batch))
                    self._lose()
            late = [
                job
                for job in self._jobs.values()
                if not job.arrived and now - job.since > self._profile.patience_seconds(self._class)
            ]
            if late:
                self._note("patience", self._patience(late))

    def _submit(self) -> None:
        while not self._closing:
            with self._lock:
                if self._missing() <= 0 or time.monotonic() < self._not_before:
                    return
                self._submitted += 1
                batch = self._job(self._submitted)
                self._jobs[batch.name] = job = _Job(batch, time.monotonic())
            try:
                batch.submit()
            except QueueError as error:
                with self._lock:
                    del self._jobs[batch.name]
                    self._hold()
                    self._note("submit", f"a job could not be submitted: {error}. It is tried again.")
                    if not _WILL_PASS.search(str(error)):
                        self._lose()
                return
            with self._lock:
                job.since = time.monotonic()
                self._told.discard("submit")

    def _job(self, number: int) -> BatchJob:
        name = f"cerebatch-{self._run}-{self._class.name}-{number}"
        return BatchJob(
            self._profile, self._class, self._place, name, self._command_of(name) if self._command_of else None
        )

    # What follows is called with the lock held.

    def _missing(self) -> int:
        return min(self._wanted, self._most) - len(self._jobs)

    def _end(self, name: str) -> None:
        """Also a job whose worker has left is cancelled: without a network it may well go on."""
        self._ended[name] = self._jobs.pop(name).batch
        self._to_cancel.append(self._ended[name])

    def _lose(self) -> None:
        if self._missing() > 0 and not self._resubmits.take():
            self._most = len(self._jobs)
            self._note(
                f"limit {self._most}",
                f"{self._resubmits.limit} lost jobs were submitted again (`resubmit` in the profile), and no more will "
                f"be: {self._most} of {self._class.jobs} are left. "
                f"Their logs: {self._place.folder}, and after the run beside it.",
            )

    def _hold(self) -> None:
        self._in_a_row += 1
        seconds = min(self._pace.longest, self._pace.retry * 2 ** min(self._in_a_row - 1, 20))
        self._not_before = time.monotonic() + seconds

    def _patience(self, late: list[_Job]) -> str:
        named = ", ".join(f"{job.batch.job_id} {job.state or ''}".strip() for job in late[:3])
        more = f" and {len(late) - 3} more" if len(late) > 3 else ""
        asked = f"{self._class.cores} cores, {self._class.memory_gb:g} GB, {self._class.walltime}"
        queue = f", queue {self._class.queue}" if self._class.queue else ""
        return (
            f"{len(late)} of {len(self._jobs)} jobs have not arrived after "
            f"{self._profile.patience_seconds(self._class) / 60:g} minutes: {named}{more}. "
            f"Each asks for {asked}{queue}; the run goes on waiting. Those that run and do not arrive cannot reach the "
            "driver: `cerebatch profile check` tells why."
        )

    def _note(self, what: str, words: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._to_tell.append(f"jobs of class {self._class.name}: {words}")

    def _say(self) -> None:
        with self._lock:
            words, self._to_tell = self._to_tell, []
        for sentence in words:
            self._tell(sentence)


def _vanished(job: BatchJob) -> str:
    end = job.log_end()
    return (
        f"job {job.job_id} ended before its worker arrived, and is submitted again."
        + (f" Its log ends: {end}" if end else "")
        + f" Logs, until the run ends: {job.script_path.parent}"
    )
