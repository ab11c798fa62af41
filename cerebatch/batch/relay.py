"""Many cases: in this process, or on a Dask cluster of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Any

from cerebatch.batch.case import Job, Outcome, run_case
from cerebatch.batch.events import Event, Tell
from cerebatch.batch.profile import Profile
from cerebatch.batch.records import Failure, write_model

_TOPIC = "cerebatch"
_IN_FLIGHT = 2
"""Cases handed out for each worker: one at work, one waiting, so that memory does not grow with the cohort."""


def run_jobs(jobs: Iterable[Job], profile: Profile, tell: Tell) -> Iterator[Outcome]:
    """Run cases, in whatever order they finish.

    Parameters
    ----------
    jobs : iterable of Job
    profile : Profile
    tell : callable
        Gets every `Event`.

    Yields
    ------
    outcome : Outcome
        One a case; a case that fails stops no other.
    """
    if profile.kind == "serial":
        for job in jobs:
            yield run_case(job, tell)
    else:
        yield from _on_dask(list(jobs), profile, tell)


def _on_dask(jobs: list[Job], profile: Profile, tell: Tell) -> Iterator[Outcome]:
    if not jobs:
        return
    from distributed import as_completed

    workers = min(len(jobs), profile.cases_at_once(jobs[0].settings.threads))
    with _local_client(workers) as client:
        client.subscribe_topic(_TOPIC, lambda told: tell(Event(**told[1]["event"])))
        waiting = iter(jobs)
        futures = {client.submit(_run_on_worker, job, pure=False): job for job in islice(waiting, workers * _IN_FLIGHT)}
        queue = as_completed(futures)
        for future in queue:
            job = futures.pop(future)
            yield future.result() if future.status == "finished" else _lost(job, future.exception(), tell)
            for following in islice(waiting, 1):
                submitted = client.submit(_run_on_worker, following, pure=False)
                futures[submitted] = following
                queue.add(submitted)


def _run_on_worker(job: Job) -> Outcome:
    from distributed import get_worker

    worker = get_worker()
    return run_case(job, lambda event: worker.log_event(_TOPIC, {"event": asdict(event)}))


@contextmanager
def _local_client(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.admin.tick.limit": "1h",
        "distributed.comm.timeouts.connect": "60s",
    }
    with (
        dask.config.set(quiet),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def _lost(job: Job, error: BaseException | None, tell: Tell) -> Outcome:
    failure = Failure(
        case=job.case.name,
        stage="",
        kind=type(error).__name__,
        message=(
            "the worker process died more than once while it ran this case; most often the system ended it for "
            "memory. Run fewer cases at once (`workers` in the profile)."
        ),
    )
    write_model(job.failure_path, failure)
    tell(Event(job.case.name, "failed", message=failure.message))
    return Outcome(job.case.name, "failed", failure)
