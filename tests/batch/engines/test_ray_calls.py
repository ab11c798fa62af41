"""Ray's engine with actors that fare as they are told: what becomes of the calls, and when jobs are asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ray_running import Running, failure, prepare, wait_for

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.engines import on_ray
from cerebatch.batch.engines.base import EngineFailure, Result
from cerebatch.batch.engines.on_ray import Actors, RayJobs
from cerebatch.batch.engines.ray_actor import Ready
from cerebatch.batch.ledger.records import LOST
from cerebatch.errors import ActorLostError, ActorUnfitError


class PretendedHead:
    """A head that starts nothing."""

    address, token = "192.0.2.1:6379", Path("token")

    def __init__(self, folder: Path, **options: Any) -> None:
        self.options = options

    def watch(self, pid: int) -> None:
        pass

    def stop(self) -> None:
        pass


class PretendedActor:
    """An actor that starts and runs as it is told to, one word for each."""

    fate: ClassVar[deque[str]]

    def __init__(self, actors: Actors, warm_up: Any) -> None:
        self.word = self.fate.popleft() if self.fate else "ready"

    def wait(self, go_on: Callable[[], bool]) -> Ready | None:
        match self.word:
            case "unfit":
                raise ActorUnfitError("ValueError: no weights")
            case "lost":
                raise ActorLostError("it ended while it started")
            case "pending":
                while go_on():
                    time.sleep(0.01)
                return None
        return Ready(0, "node-1", "CPU", "node-1")

    def ping(self) -> None:
        pass

    def run(self, call: Call, tell: Any, go_on: Any) -> Result:
        if self.word == "loses":
            return EngineFailure(call.job.name, call.stage, LOST, "the node went away")
        return Progress(call.job.name, ran=call.stage)

    def kill(self) -> None:
        pass


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Makes engines without Ray, whose actors fare one after the other as the words say."""
    made: list[Running] = []

    def make(*fate: str, **more: Any) -> Running:
        monkeypatch.setattr(PretendedActor, "fate", deque(fate), raising=False)
        made.append(Running(tmp_path, **more))
        return made[-1]

    monkeypatch.setattr(on_ray, "RayHead", PretendedHead)
    monkeypatch.setattr(on_ray, "ActorHandle", PretendedActor)
    yield make
    for one in made:
        one.engine.close()


def test_an_actor_that_cannot_start_answers_all_calls_with_the_reason(pretended: Any, make_jobs: Any) -> None:
    running = pretended("unfit")
    first, second = make_jobs(2)
    assert failure(running.run(prepare(first))).message == "no actor can start: ValueError: no weights"
    assert failure(running.run(prepare(second))).kind == LOST
    assert running.engine.slots == 1  # else the driver would wait for an actor for ever


def test_five_actors_lost_in_a_row_are_the_last(pretended: Any, make_jobs: Any) -> None:
    running = pretended(*["lost", "loses"] * 5)
    told = [failure(running.run(prepare(job))).message for job in make_jobs(4)]
    assert told[:2] == ["the node went away"] * 2
    assert all(words.startswith("no actor is tried again: 5 were lost in a row") for words in told[2:])


def test_a_success_makes_up_for_lost_actors(pretended: Any, make_jobs: Any) -> None:
    running = pretended(*["lost"] * 4, "ready")
    assert all(isinstance(running.run(prepare(job)), Progress) for job in make_jobs(3))


def test_jobs_are_asked_for_as_calls_come_and_given_back_when_none_do(pretended: Any) -> None:
    asked: list[RayJobs] = []

    def last_is(number: int) -> bool:
        return [jobs.jobs for jobs in asked][-1:] == [number]

    running = pretended(*["pending"] * 8, start_jobs=asked.append, idle_minutes=0.01, actors=Actors(8, per_job=2))
    for waiting, number in ((1, 1), (3, 2), (2, 2), (100, 4), (0, 0), (1, 1)):
        running.engine.want(waiting)
        wait_for(partial(last_is, number), seconds=5)
    assert [jobs.jobs for jobs in asked] == [1, 2, 4, 0, 1]


def test_jobs_that_cannot_be_submitted_are_told(pretended: Any, make_jobs: Any) -> None:
    def refuse(jobs: RayJobs) -> None:
        raise OSError("sbatch: no such partition")

    running = pretended("pending", start_jobs=refuse)
    (job,) = make_jobs(1)
    assert "sbatch: no such partition" in failure(running.run(prepare(job))).message
