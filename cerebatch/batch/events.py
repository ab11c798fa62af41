"""What happens to cases, told while it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

What = Literal["started", "finished", "failed", "done", "skipped"]


@dataclass(frozen=True)
class Event:
    """One thing that happened to one case.

    Attributes
    ----------
    case : str
        Name, ``sub-X[_ses-Y]``.
    what : str
        A stage "started" or "finished"; the case is "done", "failed", or "skipped" because it was done before.
    stage : str
        Empty where the case as a whole is meant.
    seconds : float
        That it took.
    message : str
        Reason of a failure.
    """

    case: str
    what: What
    stage: str = ""
    seconds: float = 0.0
    message: str = ""


Tell = Callable[[Event], None]
