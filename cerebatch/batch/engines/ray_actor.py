"""What lives in a Ray actor: networks, loaded once, and the stages that use them."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cloudpickle
import psutil

from cerebatch.batch.advance import Call, Progress, advance
from cerebatch.batch.engines.base import Result
from cerebatch.batch.engines.stage_process import killed_for_memory
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.errors import SettingsError
from cerebatch.io.process import node_name

_LOOK_SECONDS = 0.2

WarmUp = Callable[[], None]


@dataclass(frozen=True)
class Ready:
    """What an actor is, once its networks are loaded.

    Attributes
    ----------
    pid : int
    host : str
    device : str
        Name of the GPU, or "CPU".
    node : str
        The host by its name in the batch scheduler.
    """

    pid: int
    host: str
    device: str
    node: str


class RayActor:
    """Runs one call after the other.

    Warm-up and stages run in one thread that stays: PyTorch counts its threads for each thread anew.

    Parameters
    ----------
    threads : int
        Of PyTorch and of what else counts by OMP_NUM_THREADS.
    on_gpu : bool
        Whether it must have a GPU.
    """

    def __init__(self, threads: int, on_gpu: bool) -> None:
        self._threads, self._on_gpu = threads, on_gpu
        self._stage_thread = ThreadPoolExecutor(1, thread_name_prefix="stage")
        self._last: tuple[int, Result] | None = None

    def prepare(self, pickled_warm_up: bytes) -> Ready:
        """Load the networks.

        Parameters
        ----------
        pickled_warm_up : bytes
            Of a function without arguments, or of None.

        Raises
        ------
        SettingsError
            There is not exactly one GPU for an actor that must have one.
        Exception
            Whatever the function raises.
        """
        return self._stage_thread.submit(self._prepare, pickled_warm_up).result()

    def ping(self) -> None:
        """Answer."""

    def run(self, number: int, pickled_call: bytes) -> Iterator[Event | Result]:
        """Run a call.

        Parameters
        ----------
        number : int
            Of the call, for `result_of`.
        pickled_call : bytes
            Of a `Call`.

        Yields
        ------
        told : Event
            While the stage runs.
        result : Progress or EngineFailure
            Last. After a failure (too much memory) this process is of no more use.
        """
        call: Call = cloudpickle.loads(pickled_call)
        told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        future = self._stage_thread.submit(self._advance, call, told.put)
        future.add_done_callback(lambda _: told.put(None))
        result: Result | None = None
        while result is None:
            with contextlib.suppress(queue.Empty):
                event = told.get(timeout=_LOOK_SECONDS)
                if event is None:
                    result = future.result()
                    break
                yield event
            if (used_gb := psutil.Process().memory_info().rss / 1e9) > call.needs.memory_gb:
                result = killed_for_memory(call, used_gb)
        self._last = number, result
        yield result

    def result_of(self, number: int) -> Result | None:
        """What came of a call, if it was the last one."""
        return self._last[1] if self._last is not None and self._last[0] == number else None

    def _prepare(self, pickled_warm_up: bytes) -> Ready:
        device = _only_gpu() if self._on_gpu else "CPU"
        warm_up: WarmUp | None = cloudpickle.loads(pickled_warm_up)
        self._set_threads()
        if warm_up is not None:
            warm_up()
        return Ready(os.getpid(), platform.node(), device, node_name())

    def _advance(self, call: Call, tell: Tell) -> Progress:
        self._set_threads()
        return advance(call, tell)

    def _set_threads(self) -> None:
        # PyTorch that is imported later counts by the environment; a stage that counts itself is set back.
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(self._threads)


def _only_gpu() -> str:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if torch.cuda.device_count() != 1:
        raise SettingsError(
            f"expected one GPU for each actor, found {torch.cuda.device_count()} on {platform.node()} "
            f"(CUDA_VISIBLE_DEVICES={visible!r}). Ask for as many in the job's directives as `gpus` says."
        )
    return f"{torch.cuda.get_device_name(0)} (CUDA_VISIBLE_DEVICES={visible})"
