"""A Ray engine with what it told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from cerebatch.batch.advance import Call
from cerebatch.batch.engines.base import EngineFailure, Result
from cerebatch.batch.engines.on_ray import Actors, RayEngine
from cerebatch.batch.job import Job
from cerebatch.batch.ledger.events import Event

THREADS = 2
"""Of the engine's one actor."""


class Running:
    """An engine with what it told, and the folder of its run."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder, self.events = folder, list[Event]()
        self.before = psutil.Process().children(recursive=True)  # left by other tests
        self.warm_ups = folder / "warm-ups"
        path = self.warm_ups

        def warm_up() -> None:
            with path.open("a") as stream:
                stream.write(f"{os.getpid()}\n")

        actors = more.pop("actors", Actors(1, threads=THREADS))
        self.engine = RayEngine(actors, folder, self.events.append, warm_up=warm_up, **more)

    def submit(self, call: Call) -> Callable[[], Result]:
        """Hand in a call; returns what waits for its result."""
        ended, results = threading.Event(), list[Result]()

        def done(result: Result) -> None:
            results.append(result)
            ended.set()

        self.engine.submit(call, done)

        def wait() -> Result:
            assert ended.wait(60)
            (result,) = results
            return result

        return wait

    def run(self, call: Call) -> Result:
        """What comes of a call."""
        return self.submit(call)()

    def actor(self) -> int:
        """Process id of the newest actor."""
        return int(self.warm_ups.read_text().split()[-1])


def wait_for(happened: Callable[[], bool], *, seconds: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def prepare(job: Job, **limits: Any) -> Call:
    """Ask for the first stage."""
    return Call(job, "prepare", replace(job.needs()["prepare"], **limits))


def failure(result: Result) -> EngineFailure:
    """The result, which is a failure of the place."""
    assert isinstance(result, EngineFailure)
    return result
