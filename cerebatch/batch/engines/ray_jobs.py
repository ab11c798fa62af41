"""Actors in jobs of a batch scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cerebatch.batch.cluster.job_script import RAY_JOB_LABEL
from cerebatch.batch.cluster.jobs import JobPool
from cerebatch.batch.cluster.profile import GpuClass
from cerebatch.batch.engines.on_ray import Actors, RayEngine, RayJobs
from cerebatch.batch.engines.ray_actor import WarmUp
from cerebatch.batch.engines.retire import EARLIEST
from cerebatch.batch.ledger.events import Tell

_LOOK_SECONDS = 2.0


class RayOnJobs(RayEngine):
    """A `RayEngine` whose actors live in jobs.

    Parameters
    ----------
    actors : Actors
    folder : Path
        Private folder of the run, seen by all nodes.
    tell : callable
        Gets the events.
    make_pool : callable
        Address of the head and file of its token -> pool of jobs that join it.
    gpu : GpuClass
    address : str
        IP address of this machine by which nodes reach it.
    warm_up : callable, optional
        As for `RayEngine`.
    """

    def __init__(
        self,
        actors: Actors,
        folder: Path,
        tell: Tell,
        make_pool: Callable[[str, Path], JobPool],
        gpu: GpuClass,
        *,
        address: str,
        warm_up: WarmUp | None = None,
    ) -> None:
        super().__init__(
            actors, folder, tell, warm_up=warm_up, address=address, start_jobs=self._start,
            idle_minutes=gpu.idle_minutes,
        )  # fmt: skip
        self._make_pool, self._pool = make_pool, None
        self._gpu = gpu
        self._here: dict[str, float] = {}
        self._looked = 0.0

    _pool: JobPool | None

    def want(self, waiting: int) -> None:
        """Start actors for so many calls, and see which jobs came and went."""
        super().want(waiting)
        if self._pool is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        here = {labels[RAY_JOB_LABEL] for labels in self.node_labels() if RAY_JOB_LABEL in labels}
        for name in here - set(self._here):
            self._here[name] = time.monotonic()
            self._pool.arrived(name)
        for name in set(self._here) - here:
            lived = time.monotonic() - self._here.pop(name)
            self._pool.left(name, expected=lived > EARLIEST * self._gpu.walltime_seconds)
        if self._pool.is_spent and not here:
            self._break("all GPU jobs were lost, and no more may be submitted (`resubmit` in the profile)")

    def close(self) -> None:
        """End actors, jobs and Ray."""
        super().close()
        if self._pool is not None:
            self._pool.close()

    def _start(self, wanted: RayJobs) -> None:
        if self._pool is None:
            self._pool = self._make_pool(wanted.address, wanted.token)
        self._pool.want(wanted.jobs)
