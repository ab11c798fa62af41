"""A Dask scheduler that does not remember what it has done."""

from __future__ import annotations

from typing import Any

from distributed.scheduler import DEFAULT_EXTENSIONS
from distributed.spans import SpansSchedulerExtension


class NoSpans(SpansSchedulerExtension):  # type: ignore[misc]
    """Spans keep statistics of every group of tasks for ever: 10 kB a case in the driver."""

    def observe_tasks(self, *_: Any, **__: Any) -> dict[Any, dict[Any, Any]]:
        """Attach tasks to nothing."""
        return {}

    def heartbeat(self, *_: Any) -> None:
        """Forget what workers measured."""


EXTENSIONS = DEFAULT_EXTENSIONS | {"spans": NoSpans}
