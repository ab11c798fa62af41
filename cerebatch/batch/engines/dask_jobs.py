"""The jobs that Dask workers live in: as many of each class as there is work for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from cerebatch.batch.cluster.jobs import JobPool
from cerebatch.batch.cluster.profile import WorkerClass
from cerebatch.batch.engines.retire import EARLIEST
from cerebatch.batch.job import Needs


class DaskJobs:
    """Keeps pools of jobs and their workers in step.

    Parameters
    ----------
    pools : mapping of WorkerClass to JobPool
    beginnings : mapping of WorkerClass to str
        What the names of its jobs, which are those of the workers, are before their last hyphen.
    scheduler : distributed.Scheduler
        In this process.
    first : Needs
        Of the first stage, for cases that wait outside of the relay.
    """

    def __init__(
        self,
        pools: Mapping[WorkerClass, JobPool],
        beginnings: Mapping[WorkerClass, str],
        scheduler: Any,
        first: Needs,
    ) -> None:
        self._pools, self._beginnings, self._scheduler, self._first = pools, beginnings, scheduler, first
        self._arrived: dict[str, float] = {}

    def is_spent_for(self, need: Needs) -> bool:
        """Whether no job is left that holds a stage, and none will come."""
        return all(pool.is_spent for one, pool in self._pools.items() if one.holds(need))

    def keep(self, calls: Iterable[Needs], waiting: int) -> None:
        """Tell the pools who came and went, and how many jobs there is work for.

        Parameters
        ----------
        calls : iterable of Needs
            Of the calls that Dask has.
        waiting : int
            Cases of the whole run that are not yet done; those beyond the calls begin with the first stage.
        """
        self._greet()
        busy = {str(worker.name) for worker in list(self._scheduler.workers.values()) if worker.processing}
        calls = list(calls)
        load = dict.fromkeys(self._pools, 0.0)
        for need in calls:
            self._add(load, need, 1)
        self._add(load, self._first, max(0, waiting - len(calls)))
        for job_class, pool in self._pools.items():
            pool.want(min(job_class.jobs, math.ceil(load[job_class])), busy)

    def _greet(self) -> None:
        here = {str(worker.name) for worker in list(self._scheduler.workers.values())}
        now = time.monotonic()
        for name in here - set(self._arrived):
            self._arrived[name] = now
            self._pools[self._class_of(name)].arrived(name)
        for name in set(self._arrived) - here:
            job_class, lived = self._class_of(name), now - self._arrived.pop(name)
            self._pools[job_class].left(name, expected=lived > EARLIEST * job_class.walltime_seconds - 1)

    def _class_of(self, name: str) -> WorkerClass:
        return next(one for one, beginning in self._beginnings.items() if name.rpartition("-")[0] == beginning)

    def _add(self, load: dict[WorkerClass, float], need: Needs, calls: int) -> None:
        """Share of a job of the smallest class that holds it and still has jobs, for each call."""
        fitting = [one for one, pool in self._pools.items() if one.holds(need) and not pool.is_spent]
        if not fitting:
            return
        smallest = min(fitting, key=lambda one: (one.memory_gb, one.cores))
        at_once = min(smallest.cores // need.threads, int(smallest.memory_gb / need.memory_gb))
        load[smallest] += calls / at_once
