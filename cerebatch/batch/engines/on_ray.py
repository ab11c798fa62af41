"""Stages that hold networks, in Ray actors: networks are loaded once and serve one case after the other."""

from __future__ import annotations

import contextlib
import math
import platform
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.engines.base import CANCELLED, Done, EngineFailure
from cerebatch.batch.engines.ray_actor import Ready, WarmUp
from cerebatch.batch.engines.ray_handle import ActorHandle, Actors, ended_with_the_run
from cerebatch.batch.engines.ray_head import RayHead
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.records import LOST
from cerebatch.errors import ActorLostError, ActorUnfitError, SettingsError

__all__ = ["Actors", "RayEngine", "RayJobs"]

_LOST_IN_A_ROW = 5
_STARTS_AT_MOST = 3
"""Ray gives its processes 30 s to start, which on a busy login node is not always enough."""


@dataclass(frozen=True)
class RayJobs:
    """Jobs whose nodes join the head.

    Attributes
    ----------
    jobs : int
        That there should be now; 0: end them all.
    address : str
        Of the head, ``IP:PORT``.
    token : Path
        File that the nodes have to read.
    """

    jobs: int
    address: str
    token: Path


class RayEngine:
    """Runs calls in a pool of actors. Ray is imported and started when `want` or `submit` first asks for it.

    Parameters
    ----------
    actors : Actors
    folder : Path
        Private folder of the run, seen by all nodes; gets Ray's token.
    tell : callable
        Gets the events, from threads of the engine.
    warm_up : callable, optional
        Called once in each actor before its first call, in the thread that runs the stages; travels by cloudpickle.
    address : str
        IP address of this machine by which nodes reach it; "127.0.0.1": all actors live here.
    start_jobs : callable, optional
        Gets a `RayJobs` when another number of jobs is wanted, from a thread of the engine. Left out: this machine
        offers places for all actors, and its GPUs for their shares.
    idle_minutes : float
        After so long without calls jobs are given back; they are asked for again when there is work.
    """

    def __init__(
        self,
        actors: Actors,
        folder: Path,
        tell: Tell,
        *,
        warm_up: WarmUp | None = None,
        address: str = "127.0.0.1",
        start_jobs: Callable[[RayJobs], None] | None = None,
        idle_minutes: float = 10.0,
    ) -> None:
        self._actors, self._folder, self._tell, self._warm_up = actors, folder, tell, warm_up
        self._address, self._start_jobs, self._idle_seconds = address, start_jobs, 60 * idle_minutes
        self._changed = threading.Condition()
        self._calls: deque[tuple[Call, Done]] = deque()
        self._wanted = self._given_up = 0
        self._live: Counter[str] = Counter()
        self._busy_at = time.monotonic()
        self._closing, self._broken, self._worked = False, "", False
        self._head: RayHead | None = None
        self._thread: threading.Thread | None = None

    @property
    def slots(self) -> int:
        """Actors that live; 1 where none can, so that calls are handed in and answered with the reason."""
        return 1 if self._broken else self._live.total()

    @property
    def broken(self) -> str:
        """Never: calls that no actor can take are answered with the reason."""
        return ""

    def submit(self, call: Call, done: Done) -> None:
        """Take a call; it waits here until an actor is free."""
        with self._changed:
            refused = ended_with_the_run(call) if self._closing else self._no_actors(call) if self._broken else None
            if refused is None:
                self._calls.append((call, done))
                self._begin()
        if refused is not None:
            done(refused)

    def cancel(self, case: str) -> None:
        """Take a call back unless an actor has it."""
        with self._changed:
            taken = [(call, done) for call, done in self._calls if call.job.name == case]
            self._calls = deque(pair for pair in self._calls if pair[0].job.name != case)
        for call, done in taken:
            done(EngineFailure(case, call.stage, CANCELLED, "taken back by the run"))

    def want(self, waiting: int) -> None:
        """Start actors for so many calls, or let go of jobs that have none."""
        with self._changed:
            if waiting != self._wanted and not self._closing:
                self._wanted = waiting
                if waiting:
                    self._begin()

    def close(self) -> None:
        """End actors and Ray; nothing of them is left. Calls that wait or run are answered with `CANCELLED`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._refuse_waiting(ended_with_the_run)

    def node_labels(self) -> list[dict[str, str]]:
        """Labels of each node that is connected, such as those that its job's command gave it."""
        if self._head is None or self._closing:
            return []
        import ray

        return [dict(node.get("Labels") or {}) for node in ray.nodes() if node["Alive"]]

    def _begin(self) -> None:
        self._busy_at = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._own_ray, name="ray", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _own_ray(self) -> None:
        """The thread that starts Ray, whose processes live as long as it does."""
        places = 0 if self._start_jobs is not None else self._actors.number
        gpus = math.ceil(round(places * self._actors.gpu_share, 3))
        try:
            head = self._start_head(places, gpus)
        except Exception as error:
            self._break(f"Ray did not start: {type(error).__name__}: {error}")
            return
        self._head = head
        keepers = [
            threading.Thread(target=self._keep, args=[head, place], name=f"actor {place}", daemon=True)
            for place in range(self._actors.number)
        ]
        for keeper in keepers:
            keeper.start()
        try:
            self._scale_jobs(head)
        except Exception as error:
            self._break(f"no jobs for actors could be had: {type(error).__name__}: {error}")
        finally:
            for keeper in keepers:
                keeper.join()
            head.stop()

    def _start_head(self, places: int, gpus: int) -> RayHead:
        for _ in range(_STARTS_AT_MOST - 1):
            try:
                return RayHead(self._folder, address=self._address, actors=places, gpus=gpus)
            except SettingsError:
                raise
            except Exception as error:
                if self._closing:
                    raise
                said = f"Ray did not start and is started again: {type(error).__name__}: {error}"
                self._tell(Event("", "said", message=said))
        return RayHead(self._folder, address=self._address, actors=places, gpus=gpus)

    def _scale_jobs(self, head: RayHead) -> None:
        """Ask for jobs until the engine is closed."""
        asked = 0
        while not self._closing:
            with self._changed:
                if self._wanted or self._calls:
                    self._busy_at = time.monotonic()
                wanted = min(self._actors.number, max(self._wanted, len(self._calls)))
            jobs = 0 if self._broken or self._is_idle() else max(asked, math.ceil(wanted / self._actors.per_job))
            if self._start_jobs is not None and jobs != asked and not self._closing:
                self._start_jobs(RayJobs(jobs, head.address, head.token))
                asked = jobs
            with self._changed:
                if not self._closing:
                    self._changed.wait(1.0)

    def _is_idle(self) -> bool:
        return self._start_jobs is not None and time.monotonic() - self._busy_at > self._idle_seconds

    def _is_needed(self) -> bool:
        return not (self._closing or self._broken or self._is_idle())

    def _goes_on(self) -> bool:
        """Whether to wait for a call that runs; asked again and again meanwhile."""
        self._busy_at = time.monotonic()
        return not self._closing

    def _keep(self, head: RayHead, place: int) -> None:
        """Have an actor, and another one when it is gone, while there is work for it."""
        lost, why, blamed = 0, "", ""
        while lost < _LOST_IN_A_ROW and self._await_need(place):
            actor = ActorHandle(self._actors, self._warm_up)
            try:
                ready = actor.wait(self._is_needed)
                if ready is None:
                    continue
                self._welcome(head, ready)
                with self._alive(ready.node):
                    for call, done in self._calls_for(actor, ready.node):
                        result = actor.run(call, self._tell, self._goes_on)
                        if isinstance(result, Progress):
                            lost, self._worked = 0, True
                            done(result)
                            continue
                        actor.kill()
                        # A case that ends its actor again and again is to blame itself.
                        lost += result.kind == LOST and call.job.name != blamed
                        why, blamed = result.message, call.job.name
                        done(result)
                        break
            except ActorUnfitError as error:
                if not self._worked:
                    self._break(f"no actor can start: {error}")
                lost, why = lost + 1, str(error)
            except ActorLostError as error:
                lost, why = lost + 1, str(error)
            finally:
                actor.kill()
        self._give_up(why)

    def _await_need(self, place: int) -> bool:
        """Wait until there is work for one more actor; False where there never will be."""
        with self._changed:
            while not self._closing and not self._broken:
                if max(self._wanted, len(self._calls)) > place - self._given_up:
                    return True
                self._changed.wait(1.0)
        return False

    def _welcome(self, head: RayHead, ready: Ready) -> None:
        if ready.host == platform.node():
            head.watch(ready.pid)
        self._tell(Event("", "said", message=f"actor {ready.pid} on {ready.host}: {ready.device}"))

    @contextlib.contextmanager
    def _alive(self, host: str) -> Iterator[None]:
        with self._changed:
            self._live[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._live[host] -= 1

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """Whether an actor lives on a host that is not among these."""
        del needs
        return any(count and host not in hosts for host, count in self._live.items())

    def _fitting(self, host: str) -> tuple[Call, Done] | None:
        """The first call that waits and need not keep away from a host."""
        for pair in self._calls:
            call = pair[0]
            if host not in call.avoid or not self.has_place_beside(call.avoid, call.needs):
                self._calls.remove(pair)
                return pair
        return None

    def _calls_for(self, actor: ActorHandle, host: str) -> Iterator[tuple[Call, Done]]:
        """Calls, each handed out when the actor answered a moment ago, until it is not needed any more."""
        while self._is_needed():
            actor.ping()
            with self._changed:
                taken = self._fitting(host)
                if taken is None:
                    self._changed.wait(1.0)
                    continue
                self._busy_at = time.monotonic()
            yield taken

    def _no_actors(self, call: Call) -> EngineFailure:
        return EngineFailure(call.job.name, call.stage, LOST, self._broken)

    def _give_up(self, why: str) -> None:
        with self._changed:
            self._given_up += 1
            last = self._given_up == self._actors.number
        if last and not self._closing and not self._broken:
            self._break(f"no actor is tried again: {_LOST_IN_A_ROW} were lost in a row, the last one so: {why}")

    def _break(self, why: str) -> None:
        """Answer all calls with a reason from now on."""
        with self._changed:
            self._broken = self._broken or why
            self._changed.notify_all()
        self._refuse_waiting(self._no_actors)

    def _refuse_waiting(self, reason: Callable[[Call], EngineFailure]) -> None:
        with self._changed:
            refused, self._calls = list(self._calls), deque()
        for call, done in refused:
            done(reason(call))
