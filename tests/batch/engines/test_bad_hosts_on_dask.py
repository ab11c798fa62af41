"""A broken host among real Dask workers: each is a process of its own with the name of a node, as in jobs of Slurm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

from cerebatch.batch.engines.on_dask import DaskEngine, dask_cluster, tls_files
from cerebatch.batch.hosts import LEAVE_OUT_AFTER, STOP_AFTER
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.outcome import Outcome
from cerebatch.batch.runner import Relay

NODES = ("n1", "n2", "n3")
STAGES = ("prepare", "atlas", "segment", "measure")


@dataclass
class Ran:
    """A run that has ended.

    Attributes
    ----------
    outcomes : list of Outcome
    said : list of str
    log : str
        Of all cases.
    """

    outcomes: list[Outcome]
    said: list[str]
    log: str


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A scheduler with one worker on each of three nodes, and its client."""
    folder = tmp_path_factory.mktemp("keys")
    with dask_cluster("127.0.0.1", folder, n_workers=0) as (cluster, client):
        keys = [
            part
            for option, path in zip(("ca-file", "cert", "key"), tls_files(folder), strict=True)
            for part in (f"--tls-{option}", str(path))
        ]
        workers = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", "distributed.cli.dask_worker", cluster.scheduler_address, *keys,
                 "--name", f"job-{node}", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0",
                 "--resources", "cores=1,memory_gb=1", "--local-directory", str(folder / node)],
                env=os.environ | {"SLURMD_NODENAME": node}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for node in NODES
        ]  # fmt: skip
        try:
            client.wait_for_workers(len(NODES), timeout=240)
            yield cluster, client
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


@pytest.fixture
def run(nodes: tuple[Any, Any], make_jobs: Any) -> Callable[..., Ran]:
    """Runs so many cases, all of them with one fault, on these nodes."""

    def go(cases: int, what: str) -> Ran:
        cluster, client = nodes
        jobs = make_jobs(cases, *(f"{number}:{stage}:{what}" for number in range(cases) for stage in STAGES), work=0.02)
        events: list[Event] = []
        relay = Relay(jobs[0].needs(), f"run-{time.monotonic_ns()}", events.append)
        engine = DaskEngine(client, cluster.scheduler, jobs[0].needs(), relay.hear)
        outcomes = list(relay.carry(jobs, {"cpu": engine}))
        engine.close()
        log = "".join(path.read_text() for path in sorted((jobs[0].out_dir / "logs").glob("*.log")))
        return Ran(outcomes, [event.message for event in events if event.what == "said"], log)

    return go


@pytest.mark.parametrize("error", ["ImportError", "ESTALE", "ENOSPC"])
def test_cases_are_done_elsewhere_and_the_host_is_left_out_and_named(run: Callable[..., Ran], error: str) -> None:
    ran = run(24, f"{error}@n2")
    assert Counter(outcome.status for outcome in ran.outcomes) == {"done": 24}
    beginning = f"n2 is left out where there are others: {LEAVE_OUT_AFTER} stages failed there in a row"
    assert [words[: len(beginning)] for words in ran.said] == [beginning]
    # What was handed to its worker before that still fails there: two calls for each place at most.
    assert ran.log.count(" elsewhere ") <= LEAVE_OUT_AFTER + 2 * len(NODES)


def test_an_error_that_nobody_expected_blames_the_host_too(run: Callable[..., Ran]) -> None:
    ran = run(24, "ValueError@n3")
    assert Counter(outcome.status for outcome in ran.outcomes) == {"done": 24}
    assert ran.said[0].startswith("n3 is left out")


def test_where_all_fail_alike_the_run_stops(run: Callable[..., Ran]) -> None:
    ran = run(60, "ImportError@everywhere")
    counts = Counter(outcome.status for outcome in ran.outcomes)
    assert set(counts) == {"failed", "handed back"}
    assert counts["failed"] <= STOP_AFTER
    assert any(words.startswith(f"the run stops: {STOP_AFTER} failures alike in a row, on n") for words in ran.said)


def test_a_call_that_no_node_can_read_is_told_and_tried_twice_and_costs_no_worker(
    nodes: tuple[Any, Any], make_jobs: Any, cohort: ModuleType
) -> None:
    cluster, client = nodes
    jobs = make_jobs(2)
    events: list[Event] = []
    relay = Relay(jobs[0].needs(), "unreadable", events.append)
    engine = DaskEngine(client, cluster.scheduler, jobs[0].needs(), relay.hear)
    cloudpickle.unregister_pickle_by_value(cohort)  # by its name, a module that nodes do not have
    try:
        outcomes = list(relay.carry(jobs, {"cpu": engine}))
    finally:
        cloudpickle.register_pickle_by_value(cohort)
    assert len(cluster.scheduler.workers) == len(NODES)
    for outcome in outcomes:
        assert outcome.failure is not None
        assert (outcome.status, outcome.failure.kind, outcome.failure.fault) == (
            "failed",
            "ModuleNotFoundError",
            "place",
        )
        assert f"{outcome.failure.host} cannot read what the run sends it" in outcome.failure.message
    assert Counter(event.case for event in events if event.what == "again") == {job.name: 1 for job in jobs}
