"""CPU stages as Dask tasks, kept off workers that are too small by resources."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.engines.base import CANCELLED, Done, EngineFailure, Result
from cerebatch.batch.engines.dask_jobs import DaskJobs
from cerebatch.batch.engines.sent_calls import packed, unpacked
from cerebatch.batch.engines.stage_process import StageProcess
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.records import LOST
from cerebatch.io.process import node_name

SETTINGS = {
    # The relay decides what is tried again: it knows what was lost with a worker.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": "inf",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.low-level-log-length": 100,
    "distributed.comm.timeouts.connect": "60s",
}

NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": []}
"""Dask's web server starts in any case; so it has nothing to show."""

_TOPIC = "cerebatch"
_FETCH_SECONDS = 30.0


class DaskEngine:
    """Runs calls on the workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Connected; closed by its owner.
    scheduler : distributed.Scheduler
        In this process.
    needs : mapping of stage to Needs
        In the order in which the stages run: later ones go first, so that cases are finished.
    tell : callable
        Gets the events, from another thread.
    jobs : DaskJobs, optional
        That the workers live in; without them the cluster has what it has.
    """

    def __init__(
        self,
        client: Any,
        scheduler: Any,
        needs: Mapping[str, Needs],
        tell: Tell,
        jobs: DaskJobs | None = None,
    ) -> None:
        self._client, self._scheduler, self._jobs = client, scheduler, jobs
        self._needs = needs
        self._priority = {stage: place for place, stage in enumerate(needs)}
        self._fewest_threads = min(need.threads for need in needs.values() if need.kind == "cpu")
        self._futures: dict[str, Any] = {}
        self._calls: dict[str, Needs] = {}
        self._hosts: dict[str, str] = {}
        self._bound: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        client.subscribe_topic(_TOPIC, lambda told: tell(Event(**told[1]["event"])))

    @property
    def slots(self) -> int:
        """Calls for which the workers that are connected have cores."""
        workers = list(self._scheduler.workers.values())
        return sum(worker.nthreads // self._fewest_threads for worker in workers)

    @property
    def broken(self) -> str:
        """That no job is left that holds a stage, and none may be submitted again."""
        for stage, need in self._needs.items():
            if self._jobs is not None and need.kind == "cpu" and self._jobs.is_spent_for(need):
                return f"no job is left that holds {stage}, and no more may be submitted (`resubmit` in the profile)"
        return ""

    def submit(self, call: Call, done: Done) -> None:
        """Hand a call to Dask."""
        case, needs = call.job.name, call.needs
        beside = self._beside(call.avoid, needs) if call.avoid else set()
        future = self._client.submit(
            run_call, case, call.stage, packed(call),
            # Dask keeps statistics of each group of keys: a stage is a group, a case must not be one.
            key=f"{call.stage}-{uuid.uuid4().hex}",
            resources={"cores": needs.threads, "memory_gb": needs.memory_gb},
            priority=self._priority[call.stage],
            workers=sorted(beside) or None,
        )  # fmt: skip
        with self._lock:
            if beside:
                self._bound[case] = beside
            self._futures[case], self._calls[case] = future, needs
        future.add_done_callback(lambda ended: self._ended(call, ended, done))

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """Whether a worker that holds the call is connected, and not known to live on one of these hosts."""
        return bool(self._beside(hosts, needs))

    def _beside(self, hosts: Collection[str], needs: Needs) -> set[str]:
        """Addresses of these workers; where a worker lives is known once it has answered a call."""
        with self._lock:
            known = dict(self._hosts)
        return {
            str(worker.address)
            for worker in list(self._scheduler.running)
            if worker.nthreads >= needs.threads
            and worker.resources.get("memory_gb", 0) >= needs.memory_gb
            and known.get(str(worker.address)) not in hosts
        }

    def cancel(self, case: str) -> None:
        """Take a call back; a stage that is at work goes on until it ends, and its result is not heard."""
        with self._lock:
            future = self._futures.get(case)
        if future is not None:
            future.cancel(force=True)

    def want(self, waiting: int) -> None:
        """Keep as many jobs as there is work for."""
        self._release_stranded()
        if self._jobs is None:
            return
        with self._lock:
            calls = list(self._calls.values())
        self._jobs.keep(calls, waiting)

    def _release_stranded(self) -> None:
        """Take back calls that may run only on workers that are gone; the run hands them out again."""
        here = set(self._scheduler.workers)
        with self._lock:
            stranded = [self._futures[case] for case, bound in self._bound.items() if not bound & here]
        for future in stranded:
            future.cancel(force=True)

    def close(self) -> None:
        """Take back what is left."""
        with self._lock:
            futures = list(self._futures.values())
        for future in futures:
            future.cancel(force=True)

    def _ended(self, call: Call, future: Any, done: Done) -> None:
        try:
            result = self._result(call, future)
        except Exception as error:  # the result went with its worker, before it was fetched
            result = _lost(call, error)
            future.cancel(force=True)
        with self._lock:
            self._futures.pop(call.job.name, None)
            self._calls.pop(call.job.name, None)
            bound = self._bound.pop(call.job.name, None)
        stranded = bound and not bound & set(self._scheduler.workers)
        if stranded and isinstance(result, EngineFailure) and result.kind == CANCELLED:
            result = _lost(call, RuntimeError("the workers beside those that failed it are gone"))
        done(result)

    def _result(self, call: Call, future: Any) -> Result:
        if future.status == "finished":
            address, host, result = future.result(timeout=_FETCH_SECONDS)
            with self._lock:
                self._hosts[address] = host
            found: Result = result
            return found
        if future.status == "cancelled":
            return EngineFailure(call.job.name, call.stage, CANCELLED, "taken back by the run")
        return _lost(call, future.exception())


@contextmanager
def dask_cluster(address: str, folder: Path, *, dashboard: bool = True, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A scheduler in this process that speaks TLS alone, with keys of its own, and a client.

    Parameters
    ----------
    address : str
        IP address to listen on.
    folder : Path
        Private; gets the keys, for workers on other nodes.
    dashboard : bool
        Whether to serve one, for this machine alone.
    **options
        Of `distributed.LocalCluster`: its workers on this machine.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    from cerebatch.batch.engines.dask_spans import EXTENSIONS

    security = Security.temporary()
    keys = tls_files(folder)
    for path, text in zip(keys, (security.tls_ca_file, security.tls_client_cert, security.tls_client_key), strict=True):
        path.touch(mode=0o600)
        path.write_text(text)
    with (
        dask.config.set(SETTINGS if dashboard else SETTINGS | NO_PAGES),
        LocalCluster(
            host=address, protocol="tls", security=security, processes=True, memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"extensions": EXTENSIONS, "dashboard": dashboard}, **options,
        ) as cluster,
        Client(cluster, security=security) as client,
    ):  # fmt: skip
        yield cluster, client


def tls_files(folder: Path) -> tuple[Path, Path, Path]:
    """Where `dask_cluster` writes authority, certificate and key."""
    return folder / "tls-ca.pem", folder / "tls-cert.pem", folder / "tls-key.pem"


def _lost(call: Call, error: BaseException | None) -> EngineFailure:
    return EngineFailure(
        call.job.name, call.stage, LOST, f"its worker was lost or failed ({type(error).__name__}: {error})."
    )


def run_call(case: str, stage: str, sent: bytes) -> tuple[str, str, Result]:
    """What a Dask task does: give the call to a child process of the worker; where it is, and what came of it."""
    from distributed import get_worker

    worker = get_worker()
    call = unpacked(case, stage, sent)
    if isinstance(call, Progress):
        return str(worker.address), node_name(), call
    with _borrowed(worker) as process:
        result = process.run(call, lambda event: worker.log_event(_TOPIC, {"event": asdict(event)}))
    return str(worker.address), node_name(), result


@contextmanager
def _borrowed(worker: Any) -> Iterator[StageProcess]:
    """An idle child process of a worker, the one used last, or a new one."""
    idle: list[StageProcess] = worker.__dict__.setdefault("cerebatch_idle", [])
    try:
        process = idle.pop()
    except IndexError:
        process = StageProcess()
    yield process
    idle.append(process)
