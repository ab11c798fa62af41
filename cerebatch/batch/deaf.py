"""Workers of this machine that leave Ctrl-C to the driver: a terminal sends it to them as well."""

from __future__ import annotations

import signal
from typing import Any

from distributed import WorkerPlugin


class Deaf(WorkerPlugin):  # type: ignore[misc]
    """Makes a worker ignore SIGINT; child processes inherit that."""

    name = "cerebatch-deaf"

    def setup(self, worker: Any) -> None:
        """Ignore it from now on."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
