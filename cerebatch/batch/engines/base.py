"""What the driver sees of Dask and Ray."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.job import Needs

CANCELLED = "Cancelled"
"""Kind of an `EngineFailure`: the call never began, because the driver took it back."""


@dataclass(frozen=True)
class EngineFailure:
    """The place failed, not the code of the stage.

    Attributes
    ----------
    case, stage : str
    kind : str
        `records.KILLED`, `HANG`, `LOST`, or `CANCELLED`.
    message : str
        In words, with what to do.
    """

    case: str
    stage: str
    kind: str
    message: str


Result = Progress | EngineFailure
Done = Callable[[Result], None]


class Engine(Protocol):
    """Runs calls somewhere."""

    @property
    def slots(self) -> int:
        """Calls that keep it busy now; 0 while nothing to run on has arrived."""

    @property
    def broken(self) -> str:
        """Why it will never run anything again, in words; empty while it may."""

    def submit(self, call: Call, done: Done) -> None:
        """Take a call and return at once; `done` is called from any thread, exactly once.

        It runs on none of `call.avoid`, as long as there is a place beside them.
        """

    def has_place_beside(self, hosts: Collection[str], needs: Needs) -> bool:
        """Whether a call with such needs could run now on a host that is not among these."""

    def cancel(self, case: str) -> None:
        """Take a call back if it has not begun; its `done` gets `CANCELLED`."""

    def want(self, waiting: int) -> None:
        """How many calls there are for it or soon will be, so that it can start or end what it runs on."""

    def close(self) -> None:
        """End everything that was started."""
