"""In this process, one call after the other: for a debugger."""

from __future__ import annotations

from collections.abc import Collection

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.engines.base import Done
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Tell


class InProcessEngine:
    """Runs a call while it is submitted; limits of memory and time do not hold.

    Parameters
    ----------
    tell : callable
        Gets the events.
    """

    slots = 1
    broken = ""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def submit(self, call: Call, done: Done) -> None:
        """Run a call."""
        done(advance(call, self._tell))

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """There is this host alone."""
        del hosts, needs
        return False

    def cancel(self, case: str) -> None:
        """Nothing waits here."""

    def want(self, waiting: int) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""
