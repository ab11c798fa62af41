"""What the commands share: exit statuses, options with a few values, and how a line is printed."""

from __future__ import annotations

from enum import StrEnum

from rich.console import Console

SOME_FAILED, COULD_NOT_RUN = 1, 2


class Resolution(StrEnum):
    """Edge of the MNI grid, millimetres."""

    one = "1.0"
    half = "0.5"
    trial = "4.0"


def say(console: Console, line: str) -> None:
    """Print a line as it is: no wrapping in the middle of a path, no markup in a file's name."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
