"""What the relay does with calls that a place lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.engines.base import Done, EngineFailure
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.ledger.records import LOST
from cerebatch.batch.runner import Relay


@dataclass(eq=False)
class Losing:
    """A place that loses every call that has too little memory, after it began."""

    relay: Relay
    enough_gb: float
    slots: int = 1
    broken: str = ""
    given: list[float] = field(default_factory=list)

    def submit(self, call: Call, done: Done) -> None:
        """Run it or lose it; what a lost one said arrives after the next was handed out."""
        self.given.append(call.needs.memory_gb)
        if call.needs.memory_gb >= self.enough_gb:
            done(advance(call, self.relay.hear))
        else:
            started = Event(call.job.name, "started", call.stage, key="k", attempt=call.attempt)
            self.relay.hear(started)
            done(EngineFailure(call.job.name, call.stage, LOST, "gone."))
            self.relay.hear_later(replace(started, message="late"))

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """There is this place alone."""
        del hosts, needs
        return False

    def cancel(self, case: str) -> None:
        """Nothing waits."""

    def want(self, waiting: int) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""


def larger(need: Needs) -> float | None:
    """There are places of 2 and of 8 GB."""
    return next((gb for gb in (2.0, 8.0) if gb > need.memory_gb), None)


def carried(tmp_path: Path, make_jobs: Any, enough_gb: float) -> tuple[list[float], str, str]:
    """Memory of each call, and how the case ended."""
    (job,) = make_jobs(1, memory_gb=2.0)
    relay = Relay(job.needs(), "r", lambda event: None, larger_gb=larger)
    engine = Losing(relay, enough_gb)
    (outcome,) = relay.carry([job], {"cpu": engine})
    return engine.given, outcome.status, outcome.failure.message if outcome.failure else ""


def test_what_is_lost_twice_gets_a_larger_place(tmp_path: Path, make_jobs: Any) -> None:
    given, status, _ = carried(tmp_path, make_jobs, enough_gb=8.0)
    assert given[:3] == [2.0, 2.0, 8.0]
    assert status == "done"


def test_what_is_lost_everywhere_fails_and_says_how_often(tmp_path: Path, make_jobs: Any) -> None:
    given, status, words = carried(tmp_path, make_jobs, enough_gb=99.0)
    assert given == [2.0, 2.0, 8.0, 8.0, 8.0]
    assert (status, words) == ("failed", "gone. It was tried 5 times.")


def test_a_start_heard_late_is_not_that_of_the_next_attempt(tmp_path: Path, make_jobs: Any) -> None:
    (job,) = make_jobs(1)
    relay = Relay(job.needs(), "r", lambda event: None)

    class Last(Losing):
        """Lets the second call wait, as one that has not begun, until the run is stopped and it is taken back."""

        def submit(self, call: Call, done: Done) -> None:
            if call.attempt == 1:
                super().submit(call, done)
            else:
                self.waiting = done
                relay.stop("enough")

        def cancel(self, case: str) -> None:
            self.taken_back = case
            self.waiting(EngineFailure(case, "prepare", "Cancelled", "taken back"))

    # Were the second call taken for one at work, the run would wait for its end.
    engine = Last(relay, 99.0)
    outcomes = [outcome.status for outcome in relay.carry([job], {"cpu": engine})]
    assert outcomes == ["handed back"]
    assert engine.taken_back == job.name
