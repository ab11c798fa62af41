"""The engines of a profile: what is started for a run, and ended with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebatch.batch.cluster.machine import address_on, gpus
from cerebatch.batch.cluster.profile import Cluster, Local, Profile, Serial
from cerebatch.batch.engines.base import Engine
from cerebatch.batch.engines.in_process import InProcessEngine
from cerebatch.batch.job import Kind, Needs
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.manifest import Manifest
from cerebatch.batch.ledger.records import read_model

if TYPE_CHECKING:
    from cerebatch.batch.cluster.jobs import Resubmits, WorkerPlace
    from cerebatch.batch.engines.on_ray import RayEngine

WarmUp = Callable[[], None]


@contextmanager
def engines(
    profile: Profile,
    needs: Mapping[str, Needs],
    run: str,
    shared: Path,
    tell: Tell,
    warm_up: WarmUp | None = None,
) -> Iterator[Mapping[Kind, Engine]]:
    """Start what a profile names.

    Parameters
    ----------
    profile : Profile
    needs : mapping of stage to Needs
        As the profile adjusts them.
    run : str
        Id of the run.
    shared : Path
        Folder that nodes see; gets a private folder of the run, which goes when the run ends.
    tell : callable
        Gets the events of the stages, from other threads.
    warm_up : callable, optional
        What each actor does before its first call: load networks.

    Yields
    ------
    engines : mapping of kind to Engine
    """
    if isinstance(profile, Serial):
        engine = InProcessEngine(tell)
        yield {"cpu": engine, "gpu": engine}
        return
    with ExitStack() as stack:
        folder = stack.enter_context(_made_private(shared, run))
        if isinstance(profile, Local):
            yield _local(profile, needs, folder, tell, warm_up, stack)
        else:
            yield _cluster(profile, needs, run, folder, tell, warm_up, stack)


def _local(
    profile: Local, needs: Mapping[str, Needs], folder: Path, tell: Tell, warm_up: WarmUp | None, stack: ExitStack
) -> Mapping[Kind, Engine]:
    from cerebatch.batch.engines.ignore_sigint import Deaf
    from cerebatch.batch.engines.on_dask import DaskEngine, dask_cluster

    cores, memory_gb = profile.usable_cores(needs), profile.usable_memory_gb()
    cluster, client = stack.enter_context(
        dask_cluster("127.0.0.1", folder, dashboard=profile.dashboard, n_workers=1, threads_per_worker=cores,
                     resources={"cores": cores, "memory_gb": memory_gb})
    )  # fmt: skip
    client.register_plugin(Deaf())
    _say(tell, f"{cores} cores, {memory_gb:.0f} GB; {_dashboard(cluster, shown=profile.dashboard)}")
    found: dict[Kind, Engine] = {"cpu": DaskEngine(client, cluster.scheduler, needs, tell)}
    if any(need.kind == "gpu" for need in needs.values()):
        from cerebatch.batch.engines.on_ray import Actors, RayEngine

        share = min(1.0, gpus() / profile.actors)
        actors = Actors(profile.actors, threads=profile.actor_threads, gpu_share=share)
        found["gpu"] = RayEngine(actors, folder, tell, warm_up=warm_up)
    for engine in found.values():
        stack.callback(engine.close)
    return found


def _cluster(
    profile: Cluster,
    needs: Mapping[str, Needs],
    run: str,
    folder: Path,
    tell: Tell,
    warm_up: WarmUp | None,
    stack: ExitStack,
) -> Mapping[Kind, Engine]:
    from cerebatch.batch.cluster.jobs import JobPool, Resubmits, WorkerPlace
    from cerebatch.batch.engines.dask_jobs import DaskJobs
    from cerebatch.batch.engines.on_dask import DaskEngine, dask_cluster, tls_files
    from cerebatch.batch.engines.retire import Retire

    address = address_on(profile.interface)
    cluster, client = stack.enter_context(dask_cluster(address, folder, dashboard=profile.dashboard, n_workers=0))
    _say(tell, f"driver at {cluster.scheduler_address}; {_dashboard(cluster, shown=profile.dashboard)}")
    place = WorkerPlace(cluster.scheduler_address, *tls_files(folder), folder)
    resubmits = Resubmits(profile.resubmit)
    pools = {
        one: JobPool(profile, one, place, run, tell=lambda words: _say(tell, words), resubmits=resubmits)
        for one in profile.workers
    }
    for pool in pools.values():
        stack.callback(pool.close)
    beginnings = {one: f"cerebatch-{run}-{one.name}" for one in pools}
    client.register_plugin(Retire({beginnings[one]: one.walltime_seconds for one in pools}))
    jobs = DaskJobs(pools, beginnings, cluster.scheduler, next(iter(needs.values())))
    found: dict[Kind, Engine] = {"cpu": DaskEngine(client, cluster.scheduler, needs, tell, jobs)}
    if profile.gpu is not None and any(need.kind == "gpu" for need in needs.values()):
        found["gpu"] = _ray_jobs(profile, run, place, resubmits, address, tell, warm_up, stack)
    for engine in found.values():
        stack.callback(engine.close)
    return found


def _ray_jobs(
    profile: Cluster,
    run: str,
    place: WorkerPlace,
    resubmits: Resubmits,
    address: str,
    tell: Tell,
    warm_up: WarmUp | None,
    stack: ExitStack,
) -> RayEngine:
    """The engine whose actors live in GPU jobs; these are written when it first asks for one."""
    from cerebatch.batch.cluster.jobs import JobPool, ray_node
    from cerebatch.batch.engines.on_ray import Actors
    from cerebatch.batch.engines.ray_jobs import RayOnJobs

    gpu = profile.gpu
    assert gpu is not None

    def make_pool(head: str, token: Path) -> JobPool:
        command = ray_node(profile, gpu, head, token=token)
        return JobPool(
            profile, gpu, place, run, tell=lambda words: _say(tell, words), resubmits=resubmits, command_of=command
        )

    actors = Actors(
        gpu.jobs * gpu.actors,
        threads=max(1, gpu.cores // gpu.actors),
        gpu_share=1.0 / gpu.actors_per_gpu if gpu.gpus else 0.0,
        per_job=gpu.actors,
    )
    return RayOnJobs(actors, place.folder, tell, make_pool, gpu, address=address, warm_up=warm_up)


def private_folder(shared: Path, run: str) -> Path:
    """Where keys, scripts and logs of the jobs of a run lie."""
    return shared / f".run-{run}"


@contextmanager
def _made_private(shared: Path, run: str) -> Iterator[Path]:
    """The private folder, that only the user may enter; those of runs that are over for sure go."""
    shared.mkdir(parents=True, exist_ok=True)
    for left in shared.glob(".run-*"):
        owner = read_model(shared / f"{left.name.removeprefix('.run-')}.json", Manifest)
        if owner is not None and (owner.is_gone or (shared / f"{owner.run}.end.json").exists()):
            shutil.rmtree(left, ignore_errors=True)
    folder = private_folder(shared, run)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _dashboard(cluster: Any, *, shown: bool) -> str:
    if not shown:
        return "Dask's dashboard is off"
    port = cluster.scheduler.services["dashboard"].port
    return f"Dask's dashboard, for this machine alone: http://127.0.0.1:{port}/status"


def _say(tell: Tell, words: str) -> None:
    tell(Event("", "said", message=words))
