"""Progress: a bar for each stage on a terminal, one line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cerebatch.batch.ledger.events import Event, Tell

_ENDS = ("done", "failed", "skipped", "elsewhere")


@contextmanager
def progress(total: int, stages: Sequence[str], console: Console) -> Iterator[Tell]:
    """Show events as they come.

    Parameters
    ----------
    total : int
        Number of cases.
    stages : sequence of str
        In the order in which they run.
    console : Console
        Where; a terminal gets a bar for each stage and one for the cases, anything else lines.

    Yields
    ------
    tell : callable
        Takes `Event`.
    """
    if not console.is_terminal:
        yield lambda event: console.print(_line(event), soft_wrap=True, markup=False, highlight=False)
        return
    columns = (
        TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, speed_estimate_period=3600) as bars:
        rows = {name: bars.add_task(name, total=total, note="") for name in (*stages, "cases")}
        at_work: dict[str, set[str]] = {stage: set() for stage in stages}
        failed = dict.fromkeys(rows, 0)

        def show(event: Event) -> None:
            if event.what in ("failed", "again", "elsewhere", "said"):
                bars.console.print(_line(event), markup=False, highlight=False)
            for stage in stages:
                if event.case in at_work[stage] and event.what != "started":
                    at_work[stage].discard(event.case)
            if event.what == "started":
                at_work[event.stage].add(event.case)
            elif event.what == "finished":
                bars.advance(rows[event.stage])
            elif event.what in _ENDS:
                bars.advance(rows["cases"])
                if event.what == "failed":
                    failed["cases"] += 1
                    if event.stage in failed:
                        failed[event.stage] += 1
            for name, row in rows.items():
                told = [f"{len(at_work[name])} at work"] if at_work.get(name) else []
                told += [f"{failed[name]} failed"] if failed[name] else []
                bars.update(row, note=", ".join(told))

        yield show


class _Rate(TextColumn):
    """How many an hour."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Cases an hour since the first was done."""
        return Text(f"{3600 * task.speed:.0f}/h" if task.speed else "", style="progress.data.speed")


def _line(event: Event) -> str:
    clock = time.strftime("%H:%M:%S")
    if event.what == "said":
        return f"{clock} {event.message}"
    what = f"{event.stage} {event.what}".strip()
    took = f" ({event.seconds:.1f} s)" if event.what in ("finished", "done") else ""
    return f"{clock} {event.case} {what}{took}{': ' + event.message if event.message else ''}"
