"""An actor as the driver sees it: made, waited for, given calls, ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import cloudpickle

from cerebatch.batch.advance import Call
from cerebatch.batch.cluster.job_script import ACTOR
from cerebatch.batch.engines.base import CANCELLED, EngineFailure, Result
from cerebatch.batch.engines.ray_actor import RayActor, Ready, WarmUp
from cerebatch.batch.engines.sent_calls import packed
from cerebatch.batch.engines.stage_process import hung
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.records import LOST
from cerebatch.errors import ActorLostError, ActorUnfitError

_LOOK_SECONDS = 0.5
_RECOVERY_SECONDS = 20.0
_THREADS_OF = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Actors:
    """How many actors, and what each has.

    Attributes
    ----------
    number : int
        At most so many at once.
    threads : int
        Of each.
    gpu_share : float
        Of one GPU for each; 0: they run on CPUs and see no GPU.
    per_job : int
        Actors of one job; used where jobs are submitted for them.
    """

    number: int = 1
    threads: int = 1
    gpu_share: float = 0.0
    per_job: int = 1


class ActorHandle:
    """One actor. Used by one thread of the driver.

    Parameters
    ----------
    actors : Actors
    warm_up : callable or None
        Called in the actor before its first call.
    """

    def __init__(self, actors: Actors, warm_up: WarmUp | None) -> None:
        import ray

        variables = dict.fromkeys(_THREADS_OF, str(actors.threads))
        if not actors.gpu_share:
            variables["CUDA_VISIBLE_DEVICES"] = ""
        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": actors.gpu_share,
            "resources": {ACTOR: 1},
            "max_restarts": 0,
            "max_task_retries": 0,
            "runtime_env": {"env_vars": variables},
        }
        self._actor = ray.remote(**options)(RayActor).remote(actors.threads, bool(actors.gpu_share))
        self._preparing = self._actor.prepare.remote(cloudpickle.dumps(warm_up))
        self._numbers = count()
        self._ready: Ready

    def wait(self, go_on: Callable[[], bool]) -> Ready | None:
        """Wait until the actor has a place and its networks, which on a cluster may take hours.

        Parameters
        ----------
        go_on : callable
            Whether the actor is still needed.

        Returns
        -------
        ready : Ready or None
            None: it is not needed any more.

        Raises
        ------
        ActorUnfitError
            The warm-up raised, or there is not exactly one GPU.
        ActorLostError
            The actor ended.
        """
        import ray

        try:
            while not ray.wait([self._preparing], timeout=_LOOK_SECONDS)[0]:
                if not go_on():
                    return None
            self._ready = ray.get(self._preparing)
        except ray.exceptions.RayTaskError as error:
            raise ActorUnfitError(f"{type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise ActorLostError(f"it ended while it started ({type(error).__name__})") from error
        return self._ready

    def ping(self) -> None:
        """Return once the actor answers.

        Raises
        ------
        ActorLostError
        """
        import ray

        try:
            ray.get(self._actor.ping.remote(), timeout=_RECOVERY_SECONDS)
        except ray.exceptions.RayError as error:
            raise ActorLostError(f"it ended while it waited ({type(error).__name__})") from error

    def run(self, call: Call, tell: Tell, go_on: Callable[[], bool]) -> Result:
        """Run a call.

        Parameters
        ----------
        call : Call
        tell : callable
            Gets the events of the stage while it runs.
        go_on : callable
            Whether to wait any longer.

        Returns
        -------
        result : Progress or EngineFailure
            After a failure the actor is of no more use.
        """
        import ray

        number, deadline = next(self._numbers), time.monotonic() + 60 * call.needs.minutes
        try:
            sent = packed(call)
        except Exception as error:  # whatever a job's attributes raise
            return self._lost(call, f"the job cannot be sent there, {type(error).__name__}: {error}")
        answers, silent_since = self._actor.run.remote(number, call.job.name, call.stage, sent), 0.0
        while time.monotonic() < deadline:
            if not go_on():
                return ended_with_the_run(call)
            try:
                if not ray.wait([answers], timeout=_LOOK_SECONDS)[0]:
                    continue
                answer = ray.get(answers if silent_since else next(answers))
                if isinstance(answer, Event):
                    tell(answer)
                elif answer is not None:
                    result: Result = answer
                    return result
                else:
                    return self._lost(call, "it did not answer for a while, and does not know the call any more")
            except ray.exceptions.ActorUnavailableError:
                # The stage may go on all the same; its result is asked for, which waits until it has ended.
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > _RECOVERY_SECONDS:
                    return self._lost(call, f"it did not answer for {_RECOVERY_SECONDS:.0f} s")
                time.sleep(1.0)
                answers = self._actor.result_of.remote(number)
            except ray.exceptions.RayTaskError as error:
                return self._lost(call, f"{type(error.cause).__name__}: {error.cause}")
            except (ray.exceptions.RayError, StopIteration) as error:
                why = "most often its job or node ended, or the system ended it for memory"
                return self._lost(call, f"{type(error).__name__}, {why}")
        return hung(call)

    def kill(self) -> None:
        """End the actor with whatever it runs."""
        import ray

        with contextlib.suppress(Exception):
            ray.kill(self._actor, no_restart=True)

    def _lost(self, call: Call, why: str) -> EngineFailure:
        where = f"process {self._ready.pid} on {self._ready.host}"
        return EngineFailure(call.job.name, call.stage, LOST, f"the actor that ran it was lost ({where}): {why}.")


def ended_with_the_run(call: Call) -> EngineFailure:
    """The answer to a call that waits or runs when the run ends."""
    return EngineFailure(call.job.name, call.stage, CANCELLED, "ended with the run")
