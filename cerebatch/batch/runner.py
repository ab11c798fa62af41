"""The driver: carries many cases through their stages, a bounded number at a time.

It hands out one stage of a case at a time, to the engine of the stage's kind, hears what came of it, and hands out the
next. It knows cases only while they are in flight, so that a hundred thousand need no more memory than a hundred.
"""

from __future__ import annotations

import contextlib
import operator
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from cerebatch.batch.advance import Call, Progress, is_full, noted
from cerebatch.batch.decide import most_gb
from cerebatch.batch.engines.base import CANCELLED, Engine, EngineFailure, Result
from cerebatch.batch.hosts import Hosts
from cerebatch.batch.in_flight import InFlight, not_seen
from cerebatch.batch.job import Job, Kind, Needs
from cerebatch.batch.ledger import lease as leases
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.lease import Lease
from cerebatch.batch.ledger.records import DISK_FULL, HANG, KILLED, LOST, Failure, write_model
from cerebatch.batch.outcome import Outcome, Status
from cerebatch.io.process import node_name, this_process

IN_FLIGHT = 2
"""Cases for each place of an engine: one at work, one waiting."""
WAITING_FOR_ACTORS = 500
"""Cases that may be prepared while no GPU has arrived: their files lie on the disk."""

_LOST_BEFORE_LARGER = 2
"""The system ends what takes too much memory without a word; more of it is tried after so many losses."""
_LOST_AT_MOST, _NEVER_BEGAN_AT_MOST, _HANGS_AT_MOST = 5, 20, 2
_ON_ONE_HOST_AT_MOST = 4
_AGAIN_AT_MOST = 2
"""A stage may have to run again because its input changed meanwhile, but not for ever."""
GRACE_SECONDS = 20.0
"""That a stage has to end in a stopped run: Slurm kills a job 30 s after it asked it to end."""


class Relay:
    """Carries cases; made for one run.

    Parameters
    ----------
    needs : mapping of stage to Needs
        In the order in which the stages run.
    run : str
        Id of the run.
    tell : callable
        Gets every `Event`, from the thread that calls `carry`.
    own_needs, larger_gb : callable, optional
        Job, stage and its needs -> needs of this case. Needs of a stage -> the next larger memory, or None.
    lease_seconds : float
        After so long without renewal other runs may take a case.
    retry_failed : bool
        Try again what failed before, with the same inputs and settings.
    """

    def __init__(
        self,
        needs: Mapping[str, Needs],
        run: str,
        tell: Tell,
        *,
        own_needs: Callable[[Job, str, Needs], Needs] = lambda _job, _stage, needs: needs,
        larger_gb: Callable[[Needs], float | None] = lambda _: None,
        lease_seconds: float = 120.0,
        retry_failed: bool = False,
    ) -> None:
        self._needs, self._tell = needs, tell
        self._engines: Mapping[Kind, Engine] = {}
        self._own_needs, self._larger_gb, self._retry_failed = own_needs, larger_gb, retry_failed
        self._lease = Lease(run=run, seconds=lease_seconds, **this_process().model_dump())
        self._inbox: queue.SimpleQueue[Event | tuple[str, Result]] = queue.SimpleQueue()
        self._flying: dict[str, InFlight] = {}
        self._hosts, self._own_host = Hosts(), node_name()
        self._thread = threading.get_ident()
        self.stopping = ""

    def hear(self, event: Event) -> None:
        """Take an event of a stage; may be called from any thread."""
        if threading.get_ident() == self._thread:
            self._event(event)
        else:
            self.hear_later(event)

    def hear_later(self, event: Event) -> None:
        """Take an event without telling it now; may be called from a signal handler."""
        self._inbox.put(event)

    def stop(self, why: str) -> None:
        """Hand out nothing more; what is at work has some seconds to end."""
        self.stopping = why

    def carry(self, jobs: Sequence[Job], engines: Mapping[Kind, Engine]) -> Iterator[Outcome]:
        """Carry cases until none is left, in whatever order they finish.

        Parameters
        ----------
        jobs : sequence of Job
        engines : mapping of kind to Engine
            Their events come to `hear`.

        Yields
        ------
        outcome : Outcome
            One a case; a case that fails stops no other.
        """
        self._engines = engines
        waiting = iter(jobs)
        yield from self._carry(waiting)
        yield from (Outcome(name, "handed back") for name in self._flying)
        yield from (Outcome(job.name, "handed back") for job in waiting)

    def release_all(self) -> None:
        """Give back what is still in flight; called when the engines are closed, so that nothing runs any more."""
        for name in list(self._flying):
            self._leave(name, "handed back")

    def _carry(self, waiting: Iterator[Job]) -> Iterator[Outcome]:
        more, deadline = True, None
        while True:
            while more and not self.stopping and self._has_room():
                job = next(waiting, None)
                more = job is not None
                if job is not None and (held := self._begin(job)) is not None:
                    yield held
            if self.stopping:
                deadline = deadline or time.monotonic() + GRACE_SECONDS
                for name in [name for name, case in self._flying.items() if not case.started]:
                    self._engine(name).cancel(name)
                if time.monotonic() > deadline:
                    break
            if not self._flying and (not more or self.stopping):
                break
            self._say_what_waits(operator.length_hint(waiting))
            yield from self._answer()
            for name in [name for name, case in self._flying.items() if case.taken_over]:
                yield self._give_up(name)

    def _has_room(self) -> bool:
        """Whether one more case may begin: counted for each engine, so that none waits for another that is late."""
        kind = next(iter(self._needs.values())).kind
        at = Counter(case.needs.kind for case in self._flying.values())
        behind = max(WAITING_FOR_ACTORS, IN_FLIGHT * sum(engine.slots for engine in set(self._engines.values())))
        return at[kind] < max(IN_FLIGHT, IN_FLIGHT * self._engines[kind].slots) and at.total() < behind

    def _engine(self, name: str) -> Engine:
        return self._engines[self._flying[name].needs.kind]

    def _begin(self, job: Job) -> Outcome | None:
        try:
            holder = leases.take(job.lease_path, self._lease)
        except OSError as error:
            return self._cannot_begin(job, error)
        if holder is not None:
            self._tell(Event(job.name, "elsewhere", message=f"at work in run {holder.run} on {holder.host}"))
            return Outcome(job.name, "elsewhere", holder=holder)
        first, needs = next(iter(self._needs.items()))
        now = time.monotonic()
        self._flying[job.name] = InFlight(job, first, self._own_needs(job, first, needs), began=now, renewed=now)
        self._hand_out(job.name)
        return None

    def _hand_out(self, name: str) -> None:
        case = self._flying[name]
        case.started = ""
        case.attempt += 1
        self._engines[case.needs.kind].submit(self._call(case), lambda result: self._inbox.put((name, result)))

    def _call(self, case: InFlight) -> Call:
        return Call(
            case.job, case.stage, case.needs, most_gb(case.needs, self._larger_gb), self._retry_failed, case.attempt,
            self._lease.run, self._lease.seconds, (*case.failed_on, *self._hosts.left_out),
        )  # fmt: skip

    def _answer(self) -> Iterator[Outcome]:
        """Hear all that there is to hear; wait a little if there is nothing."""
        try:
            heard = self._inbox.get(timeout=min(1.0, self._lease.seconds / 8))
        except queue.Empty:
            return
        while True:
            if isinstance(heard, Event):
                self._event(heard)
            else:
                outcome = self._heard(*heard)
                if outcome is not None:
                    yield outcome
            try:
                heard = self._inbox.get_nowait()
            except queue.Empty:
                return

    def _cannot_begin(self, job: Job, error: OSError) -> Outcome:
        """Not even a lease could be written."""
        kind = DISK_FULL if is_full(error) else type(error).__name__
        message = f"its records cannot be written: {error}. Free some space or check the rights of OUT_DIR."
        failure = Failure(case=job.name, stage="", kind=kind, message=message, host=self._own_host, fault="place")
        self._blame(self._own_host, failure, others=False)
        self._tell(Event(job.name, "failed", message=message))
        return Outcome(job.name, "failed", failure)

    def _blame(self, host: str, failure: Failure, *, others: bool) -> None:
        """Keep count of what failed for the sake of the place."""
        news, stop = self._hosts.failed(host, failure, others=others)
        self._say(news)
        if stop and not self.stopping:
            self._say([f"the run stops: {stop} Mend it; the same command goes on."])
            self.stop(stop)

    def _say(self, news: Iterable[str]) -> None:
        for words in news:
            self._tell(Event("", "said", message=words))

    def _event(self, event: Event) -> None:
        case = self._flying.get(event.case)
        if event.what == "started" and case is not None and event.attempt == case.attempt:
            case.started = event.key
        self._tell(event)

    def _heard(self, name: str, result: Result) -> Outcome | None:
        case = self._flying.get(name)
        if case is None:  # handed back already
            return None
        if self._is_taken_over(case):
            return self._give_up(name)
        if isinstance(result, Progress) and result.taken_over:
            seen = "its node sees the lease of another run. Do all nodes see the same OUT_DIR?"
            result = EngineFailure(name, case.stage, LOST, seen)
        if isinstance(result, EngineFailure):
            return self._place_failed(case, result)
        if result.failure is not None:
            if not result.known and self._may_work_elsewhere(case, result.failure):
                self._try_again(case, "elsewhere", result.failure.message)
                return None
            return self._failed(case, result.failure, known=result.known)
        if result.ran:
            case.ran[result.ran] += 1
            self._say(self._hosts.worked(result.host, suspects=case.suspects))
        if case.ran[result.next] > _AGAIN_AT_MOST:
            return self._failed(case, not_seen(case, result.next))
        case.lost = case.never_began = case.hung = 0
        case.failed_on = case.suspects = ()
        if not result.next:
            return self._leave(name, "done" if case.ran else "skipped")
        case.stage, case.needs = result.next, self._own_needs(case.job, result.next, self._needs[result.next])
        if self.stopping:
            return self._leave(name, "handed back")
        self._hand_out(name)
        return None

    def _is_taken_over(self, case: InFlight) -> bool:
        """Whether another run took a case; asked anew if this one was away for long, as after SIGSTOP."""
        if not case.taken_over and time.monotonic() - case.renewed > self._lease.seconds / 2:
            self._renew(case)
        return case.taken_over

    def _give_up(self, name: str) -> Outcome:
        """Leave a case to the run that took it; nothing more is written about it."""
        case = self._flying[name]
        self._engine(name).cancel(name)
        holder = leases.read_lease(case.job.lease_path)
        who = f"run {holder.run} on {holder.host}" if holder is not None else "another run, which has ended it"
        why = f"this run was not heard of for {self._lease.seconds:g} s, and the case was taken by {who}"
        self._tell(Event(name, "elsewhere", case.stage, message=why))
        self._flying.pop(name)
        return Outcome(name, "elsewhere", holder=holder)

    def _place_failed(self, case: InFlight, result: EngineFailure) -> Outcome | None:
        """Try again where that can help."""
        name = case.job.name
        if self.stopping or result.kind == CANCELLED:
            return self._leave(name, "handed back")
        if again := self._again(case, result.kind):
            self._try_again(case, again, result.message)
            return None
        failure = Failure(
            case=name,
            stage=case.stage,
            kind=result.kind,
            message=result.message + (f" It was tried {case.lost} times." if case.lost else ""),
            key=case.started,
            limits=self._call(case).limits,
        )
        return self._failed(case, failure)

    def _try_again(self, case: InFlight, how: str, why: str) -> None:
        noted(case.job, f"{how} {case.stage}: {why}")
        self._tell(Event(case.job.name, "again", case.stage, message=why))
        self._hand_out(case.job.name)

    def _may_work_elsewhere(self, case: InFlight, failure: Failure) -> bool:
        """Take a failure down to the account of its host; whether the stage is tried once more, on another."""
        if failure.fault == "case":
            return False
        first, tries = not case.failed_on, len(case.failed_on) + 1
        on_one = set(case.failed_on) <= {failure.host}
        case.failed_on = (*case.failed_on, failure.host)
        engine = self._engine(case.job.name)
        if failure.fault == "place":
            others = engine.has_place_beside((*self._hosts.left_out, failure.host), case.needs)
            self._blame(failure.host, failure, others=others)
        else:
            case.suspects = (*case.suspects, failure.host)
        if self.stopping:
            return False
        # The place for it may have turned out to be on the same host once more.
        again = first or (on_one and tries < _ON_ONE_HOST_AT_MOST)
        return again and engine.has_place_beside(set(case.failed_on), case.needs)

    def _again(self, case: InFlight, kind: str) -> str:
        """How the stage is tried once more, in words; empty where that cannot help."""
        if kind == KILLED:
            return self._larger(case)
        if kind == HANG:
            case.hung += 1
            return "again" if case.hung < _HANGS_AT_MOST else ""
        if case.started:
            case.lost += 1
        else:
            case.never_began += 1
        if case.lost >= _LOST_AT_MOST or case.never_began >= _NEVER_BEGAN_AT_MOST:
            return ""
        return (self._larger(case) if case.lost == _LOST_BEFORE_LARGER else "") or "again"

    def _larger(self, case: InFlight) -> str:
        """Give the stage of a case the next larger memory, in words; empty where there is none."""
        more = self._larger_gb(case.needs)
        if more is None:
            return ""
        case.needs = replace(case.needs, memory_gb=more)
        return f"again with {more:g} GB"

    def _failed(self, case: InFlight, failure: Failure, *, known: bool = False) -> Outcome:
        if not known:
            noted(case.job, f"failed {failure.stage}: {failure.message}")
            with contextlib.suppress(OSError):
                write_model(case.job.failure_path, failure)
        self._tell(Event(case.job.name, "failed", failure.stage, message=failure.message))
        return self._leave(case.job.name, "failed", failure)

    def _leave(self, name: str, status: Status, failure: Failure | None = None) -> Outcome:
        case = self._flying.pop(name)
        with contextlib.suppress(OSError):  # it goes stale
            leases.release(case.job.lease_path, self._lease)
        if status in ("done", "skipped"):
            self._tell(Event(name, status, seconds=time.monotonic() - case.began))
        return Outcome(name, status, failure)

    def keep_leases(self, ended: threading.Event) -> None:
        """Renew the leases of all that is in flight until the run has ended; runs in a thread of its own.

        A stage that runs in the driver's thread, or a slow reader of outcomes, must not let them go stale.
        """
        while not ended.wait(min(1.0, self._lease.seconds / 8)):
            due = time.monotonic() - self._lease.seconds / 4
            for case in list(self._flying.values()):
                if case.renewed < due or case.told != case.started:
                    self._renew(case)

    def _renew(self, case: InFlight) -> None:
        told = case.started
        now_at = {"stage": case.stage, "started": bool(told)}
        with contextlib.suppress(OSError):  # it cannot be told now; soon again
            if leases.renew(case.job.lease_path, self._lease.model_copy(update=now_at)):
                case.renewed, case.told = time.monotonic(), told
            elif case.job.name in self._flying:  # and not given back a moment ago
                case.taken_over = True

    def _say_what_waits(self, left: int) -> None:
        """Tell each engine how many calls it has or will soon have; `left` cases have not begun."""
        now = Counter(case.needs.kind for case in self._flying.values())
        # A case on its way to a GPU is near it: jobs take minutes to start.
        near = sum(1 for case in self._flying.values() if any(n.kind == "gpu" for n in self._after(case.stage)))
        for kind, engine in self._engines.items():
            if kind == "gpu":
                engine.want(now["gpu"] + near)
            else:
                # What waits for an actor needs no CPU until one has done it.
                back = min(now["gpu"], IN_FLIGHT * self._engines["gpu"].slots) if now["gpu"] else 0
                engine.want(now["cpu"] + back + left)
            if engine.broken and not self.stopping:
                self._tell(Event("", "said", message=engine.broken))
                self.stop(engine.broken)

    def _after(self, stage: str) -> Iterator[Needs]:
        names = list(self._needs)
        following = names.index(stage) + 1
        return (self._needs[name] for name in names[following : following + 1])
