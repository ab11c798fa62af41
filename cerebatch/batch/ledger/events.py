"""What happens to cases, told while it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

What = Literal["started", "finished", "again", "failed", "done", "skipped", "elsewhere", "said"]


@dataclass(frozen=True)
class Event:
    """One thing that happened to one case.

    Attributes
    ----------
    case : str
        Name, ``sub-X[_ses-Y]``; empty where the run as a whole is meant.
    what : str
        A stage "started", "finished", or is tried "again"; the case is "done", "failed", "skipped" because it was done
        before, or "elsewhere" because another run is at it; something is "said" about the run.
    stage : str
        Empty where the case as a whole is meant.
    seconds : float
        That it took.
    message : str
        Reason of a failure.
    key : str
        Of the stage that started.
    attempt : int
        Of the `Call` in which it started: a lost one may be heard after the next was handed out.
    """

    case: str
    what: What
    stage: str = ""
    seconds: float = 0.0
    message: str = ""
    key: str = ""
    attempt: int = 0


Tell = Callable[[Event], None]
