"""Workers of this machine that leave Ctrl-C to the driver, and say nothing when it is gone.

A terminal sends Ctrl-C to them as well, and a run that ends closes the connection by which they tell that they live.
"""

from __future__ import annotations

import logging
import signal
from typing import Any

from distributed import WorkerPlugin


class Deaf(WorkerPlugin):  # type: ignore[misc]
    """Makes a worker ignore SIGINT, which child processes inherit, and a driver that does not answer."""

    name = "cerebatch-deaf"

    def setup(self, worker: Any) -> None:
        """Ignore both from now on."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        logging.getLogger("distributed.worker").addFilter(_is_no_heartbeat)


def _is_no_heartbeat(record: logging.LogRecord) -> bool:
    return "during heartbeat" not in record.getMessage()
