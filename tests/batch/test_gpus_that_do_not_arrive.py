"""While GPUs do not arrive, CPU work goes on; when it is over, its jobs are given back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.engines.base import Done
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Tell
from cerebatch.batch.runner import WAITING_FOR_ACTORS, Relay

CASES = 30


class Place:
    """Runs calls at once; or, as a late GPU, keeps them until nothing new came for `patience` times."""

    broken = ""

    def __init__(self, tell: Tell, slots: int, patience: int = 0) -> None:
        self._tell, self.slots, self._patience = tell, slots, patience
        self.kept: list[tuple[Call, Done]] = []
        self.most_kept = 0
        self.wanted: list[int] = []

    def submit(self, call: Call, done: Done) -> None:
        """Run or keep it."""
        if self.slots:
            done(advance(call, self._tell))
        else:
            self.kept.append((call, done))
            self.most_kept, self._quiet = len(self.kept), 0

    def want(self, waiting: int) -> None:
        """Arrive once nothing more comes."""
        self.wanted.append(waiting)
        if self.kept and not self.slots:
            self._quiet += 1
            if self._quiet > self._patience:
                self.slots = 1
                for call, done in self.kept:
                    done(advance(call, self._tell))

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """There is this place alone."""
        del hosts, needs
        return False

    def cancel(self, case: str) -> None:
        """Nothing to take back."""

    def close(self) -> None:
        """Nothing to end."""


def carried(make_jobs: Any, cases: int) -> tuple[Place, Place]:
    """A run on one core whose GPU comes late; all cases are done in the end."""
    jobs = make_jobs(cases, gpu=True)
    relay = Relay(jobs[0].needs(), "run", lambda event: None, lease_seconds=2.0)
    cpu, gpu = Place(relay.hear, 1), Place(relay.hear, 0, patience=8)
    outcomes = list(relay.carry(jobs, {"cpu": cpu, "gpu": gpu}))  # type: ignore[dict-item]
    assert [outcome.status for outcome in outcomes] == ["done"] * cases
    return cpu, gpu


def test_all_cases_are_prepared_meanwhile(make_jobs: Any) -> None:
    _, gpu = carried(make_jobs, CASES)
    assert gpu.most_kept == CASES


def test_cpu_jobs_are_given_back_when_only_gpu_work_waits(make_jobs: Any) -> None:
    cpu, _ = carried(make_jobs, CASES)
    assert max(cpu.wanted) == CASES
    assert 0 in cpu.wanted


def test_what_is_prepared_ahead_is_bounded(make_jobs: Any, monkeypatch: Any) -> None:
    assert WAITING_FOR_ACTORS >= 200
    monkeypatch.setattr("cerebatch.batch.runner.WAITING_FOR_ACTORS", 10)
    _, gpu = carried(make_jobs, CASES)
    assert gpu.most_kept <= 10 + 2
