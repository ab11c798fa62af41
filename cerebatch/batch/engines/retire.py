"""A worker goes before its walltime ends: it takes nothing new, ends what it runs, and closes.

Dask's own `--lifetime` does not wait for what is running, which then starts anew elsewhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from distributed import Status, WorkerPlugin

EARLIEST, _LATEST = 0.75, 0.9
"""Shares of the walltime between which a worker stops taking stages: staggered, so that not all go at once."""

_RESERVE_SECONDS = 20.0
"""Before the end of the walltime what still runs is given up."""


class Retire(WorkerPlugin):  # type: ignore[misc]
    """Retires the worker that it is set up in.

    Parameters
    ----------
    walltimes : mapping
        Worker's name before its last hyphen -> seconds that its job has.
    """

    name = "cerebatch-retire"

    def __init__(self, walltimes: Mapping[str, float]) -> None:
        self._walltimes = dict(walltimes)

    def setup(self, worker: Any) -> None:
        """Start the clock."""
        for beginning, seconds in self._walltimes.items():
            if str(worker.name).rpartition("-")[0] == beginning:
                self._task = asyncio.ensure_future(_retire(worker, seconds))


async def _retire(worker: Any, walltime: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + walltime - _RESERVE_SECONDS
    await asyncio.sleep(walltime * random.uniform(EARLIEST, _LATEST))
    worker.status = Status.paused
    while worker.state.executing and loop.time() < end:
        await asyncio.sleep(1)
    await worker.close(nanny=True, reason="retired before its walltime")
