"""A host where something is missing or broken: its cases are done elsewhere, and it is left out."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Collection
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.advance import Call, advance, fault_of
from cerebatch.batch.engines.base import Done
from cerebatch.batch.hosts import LEAVE_OUT_AFTER, STOP_AFTER, Hosts
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.records import DISK_FULL, Failure, write_model
from cerebatch.batch.outcome import Outcome
from cerebatch.batch.runner import Relay
from cerebatch.errors import InstallationError, StageError, UnreadableScanError

NODES = ("n1", "n2", "n3", "n4")
Ran = tuple[list[Outcome], list[str]]


class Nodes:
    """Four hosts by turns, all of them in this process; stages read from the environment where they are."""

    slots, broken = len(NODES), ""

    def __init__(self, tell: Tell, environment: pytest.MonkeyPatch) -> None:
        self._tell, self._environment, self._turns = tell, environment, cycle(NODES)

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """Whether one of the four is not among them."""
        del needs
        return bool(set(NODES) - set(hosts))

    def submit(self, call: Call, done: Done) -> None:
        """Run it on the host whose turn it is, unless that is to be avoided and another is not."""
        turn = [next(self._turns) for _ in NODES]
        next(self._turns)
        self._environment.setenv("SLURMD_NODENAME", next((node for node in turn if node not in call.avoid), turn[0]))
        done(advance(call, self._tell))

    def cancel(self, case: str) -> None:
        """Nothing waits."""

    def want(self, waiting: int) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def run(make_jobs: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs so many cases with a fault in all of them on the four nodes; outcomes, and what was said."""

    def go(cases: int, what: str) -> Ran:
        stages = ("prepare", "atlas", "segment", "measure")
        jobs = make_jobs(cases, *(f"{number}:{stage}:{what}" for number in range(cases) for stage in stages))
        events: list[Event] = []
        relay = Relay(jobs[0].needs(), "run", events.append)
        outcomes = list(relay.carry(jobs, {"cpu": Nodes(relay.hear, monkeypatch)}))
        return outcomes, [event.message for event in events if event.what == "said"]

    return go


@pytest.mark.parametrize("error", ["ImportError", "EIO", "ENOSPC"])
def test_one_of_four_fails_no_case_and_is_left_out(run: Callable[..., Ran], error: str) -> None:
    outcomes, said = run(24, f"{error}@n2")
    assert Counter(outcome.status for outcome in outcomes) == {"done": 24}
    assert len(said) == 1
    assert said[0].startswith(f"n2 is left out where there are others: {LEAVE_OUT_AFTER} stages failed there in a row")


def test_where_all_fail_alike_the_run_stops_and_says_so(run: Callable[..., Ran]) -> None:
    outcomes, said = run(60, "ImportError@everywhere")
    counts = Counter(outcome.status for outcome in outcomes)
    assert set(counts) == {"failed", "handed back"}
    assert counts["failed"] <= STOP_AFTER + 2 * len(NODES)  # and what was in flight
    (stop,) = [words for words in said if words.startswith(f"the run stops: {STOP_AFTER} failures alike in a row, on ")]
    assert "libgomp.so.1" in stop


def test_an_unexpected_error_is_tried_on_one_more_host_and_then_stays(run: Callable[..., Ran], tmp_path: Path) -> None:
    (outcome,), _ = run(1, "ValueError@everywhere")
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.fault) == ("failed", "unknown")
    assert outcome.failure.host in NODES
    assert f"on {outcome.failure.host}" in outcome.failure.message
    assert (tmp_path / "out/starts.log").read_text().count("prepare") == 2


def test_an_error_of_ours_is_not(run: Callable[..., Ran], tmp_path: Path) -> None:
    (outcome,), _ = run(1, "refuse")
    assert outcome.failure is not None
    assert outcome.failure.fault == "case"
    assert (tmp_path / "out/starts.log").read_text().count("prepare") == 1


def caused(error: Exception, by: BaseException) -> Exception:
    """An error with a cause."""
    error.__cause__ = by
    return error


UNREADABLE = UnreadableScanError("T1w.nii", expected="a file", found="none", do="Give one.")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (StageError("it ran out of the head"), "case"),
        (UNREADABLE, "case"),
        (caused(UnreadableScanError("a", expected="b", found="c", do="d"), OSError(errno.ESTALE, "stale")), "place"),
        (caused(UnreadableScanError("a", expected="b", found="c", do="d"), OSError("Not a gzipped file")), "case"),
        (OSError(errno.EIO, "Input/output error"), "place"),
        (OSError(errno.ESHUTDOWN, "Cannot send"), "place"),
        (ImportError("libgomp.so.1"), "place"),
        (InstallationError("no kernels"), "place"),
        (MemoryError(), "place"),
        (ValueError("a bug, or a broken library"), "unknown"),
    ],
    ids=repr,
)
def test_whose_fault_an_error_is(error: Exception, fault: str) -> None:
    assert fault_of(error) == fault


@pytest.mark.parametrize("what", ["ImportError@everywhere", "EIO@everywhere", "ValueError@everywhere"])
def test_the_next_run_tries_again_what_was_not_the_cases_fault(make_jobs: Any, what: str) -> None:
    (job,) = make_jobs(1, f"0:prepare:{what}")
    call = Call(job, "prepare", job.needs()["prepare"])
    failure = advance(call, lambda event: None).failure
    assert failure is not None
    write_model(job.failure_path, failure)
    (job.out_dir / "mended").touch()
    assert advance(call, lambda event: None).ran == "prepare"


class TestWhatARunLearnsOfItsHosts:
    @staticmethod
    def failure(kind: str = "ImportError") -> Failure:
        return Failure(case="sub-1", stage="prepare", kind=kind, message="it is not there.", fault="place")

    def test_a_success_between_two_failures_acquits(self) -> None:
        hosts = Hosts()
        for _ in range(LEAVE_OUT_AFTER * 2):
            hosts.failed("a", self.failure(), others=True)
            hosts.worked("a")
        assert hosts.left_out == ()

    def test_one_that_works_again_is_taken_in(self) -> None:
        hosts = Hosts()
        for _ in range(LEAVE_OUT_AFTER):
            hosts.failed("a", self.failure(), others=True)
        assert hosts.left_out == ("a",)
        assert hosts.worked("a") == ["a is no longer left out: a stage worked there"]
        assert hosts.left_out == ()

    def test_one_alone_does_not_stop_the_run_while_others_are_there(self) -> None:
        hosts = Hosts()
        stops = [hosts.failed("a", self.failure(), others=True)[1] for _ in range(100)]
        assert set(stops) == {""}

    @pytest.mark.parametrize(("kind", "after"), [("ImportError", STOP_AFTER), (DISK_FULL, 5)])
    def test_the_only_one_does(self, kind: str, after: int) -> None:
        hosts = Hosts()
        stops = [hosts.failed("a", self.failure(kind), others=False)[1] for _ in range(after)]
        assert set(stops[:-1]) == {""}
        assert stops[-1].startswith(f"{after} failures alike in a row, on a, and nothing worked between them: it is")

    def test_failures_that_are_not_alike_do_not(self) -> None:
        hosts = Hosts()
        kinds = ["ImportError", "OSError"] * STOP_AFTER
        assert {hosts.failed("a", self.failure(kind), others=False)[1] for kind in kinds} == {""}

    def test_unexpected_errors_are_held_against_a_host_once_they_turn_out_to_be_its_own(self) -> None:
        hosts = Hosts()
        for _ in range(LEAVE_OUT_AFTER):
            hosts.worked("b", suspects=("a",))
        assert hosts.left_out == ("a",)
