"""How the end of a run is printed, whatever was run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from cerebatch.cli.options import ELSEWHERE, SOME_FAILED, say

if TYPE_CHECKING:
    from cerebatch.batch.outcome import Outcome
    from cerebatch.io.bids import Problem

_LOCKED, _INTERRUPTED = "locked by another run", "interrupted"
_SHOWN = {"elsewhere": _LOCKED, "handed back": _INTERRUPTED}


def all_done(outcomes: Sequence[Outcome]) -> bool:
    """Whether every case is done, now or before."""
    return all(outcome.status in ("done", "skipped") for outcome in outcomes)


def exit_status(outcomes: Sequence[Outcome], *, whole: bool) -> int:
    """What a run ends with: 0 all done, 1 something failed or was interrupted, 3 the rest is at work in another run.

    Parameters
    ----------
    outcomes : sequence of Outcome
    whole : bool
        Whether everything else that was asked for is there: pages, and all cases that the dataset has.
    """
    statuses = {outcome.status for outcome in outcomes}
    if not whole or statuses & {"failed", "handed back"}:
        return SOME_FAILED
    return ELSEWHERE if "elsewhere" in statuses else 0


def print_counts(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print how many cases ended in which way."""
    counts = Counter(_SHOWN.get(outcome.status, outcome.status) for outcome in outcomes)
    say(console, ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


def print_unfinished(outcomes: Sequence[Outcome], problems: Iterable[Problem], console: Console) -> None:
    """Print which cases failed and why, which were locked, interrupted or left out."""
    for outcome in sorted(outcomes, key=lambda one: one.case):
        if outcome.status == "elsewhere":
            by = f"by {outcome.holder.run} on {outcome.holder.host}" if outcome.holder else "which has ended it"
            say(console, f"{_LOCKED}: {outcome.case}, {by}")
        if outcome.failure is not None:
            say(console, f"failed: {outcome.case} in {outcome.failure.stage or 'the run'}: {outcome.failure.message}")
    for problem in problems:
        say(console, f"left out: {problem.name}: {problem.reason}")
    interrupted = sum(outcome.status == "handed back" for outcome in outcomes)
    if interrupted:
        say(console, f"{interrupted} {_INTERRUPTED}; run the same command again to resume")
