"""Ray's head on a machine that is too busy for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_running import Running, failure, prepare

from cerebatch.batch.advance import Progress
from cerebatch.batch.engines import on_ray
from cerebatch.batch.ledger.records import LOST

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="as for the engine itself")]

TOO_BUSY = "The current node timed out during startup."


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """An engine that has not started Ray yet."""
    folder = tmp_path / "run"
    folder.mkdir()
    made = Running(folder)
    yield made
    made.engine.close()


@pytest.fixture
def fail_at_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Lets Ray fail to start so many times; the list grows with every try."""

    def fail(times: int) -> list[int]:
        import ray

        tries: list[int] = []
        init = ray.init

        def try_it(*arguments: Any, **options: Any) -> Any:
            tries.append(1)
            if len(tries) <= times:
                raise Exception(TOO_BUSY)
            return init(*arguments, **options)

        monkeypatch.setattr(ray, "init", try_it)
        return tries

    return fail


def test_it_is_started_again(running: Running, make_jobs: Any, fail_at_first: Callable[[int], list[int]]) -> None:
    (job,) = make_jobs(1)
    tries = fail_at_first(2)
    assert isinstance(running.run(prepare(job)), Progress)
    assert len(tries) == 3
    said = [event.message for event in running.events if event.what == "said" and TOO_BUSY in event.message]
    assert said == [f"Ray did not start and is started again: Exception: {TOO_BUSY}"] * 2


def test_but_not_for_ever(running: Running, make_jobs: Any, fail_at_first: Callable[[int], list[int]]) -> None:
    (job,) = make_jobs(1)
    tries = fail_at_first(99)
    result = failure(running.run(prepare(job)))
    assert result.kind == LOST
    assert result.message == f"Ray did not start: Exception: {TOO_BUSY}"
    assert len(tries) == on_ray._STARTS_AT_MOST
