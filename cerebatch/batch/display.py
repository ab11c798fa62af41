"""Progress: a bar on a terminal, one line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cerebatch.batch.events import Event, Tell


@contextmanager
def progress(total: int, console: Console) -> Iterator[Tell]:
    """Show events as they come.

    Parameters
    ----------
    total : int
        Number of cases.
    console : Console
        Where; a terminal gets a bar and the stages at work, anything else lines.

    Yields
    ------
    tell : callable
        Takes `Event`.
    """
    if not console.is_terminal:
        yield lambda event: console.print(_line(event), soft_wrap=True, markup=False, highlight=False)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("cases", total=total)
        at_work: dict[str, str] = {}

        def show(event: Event) -> None:
            if event.what == "started":
                at_work[event.case] = event.stage
            elif event.what in ("done", "failed", "skipped"):
                at_work.pop(event.case, None)
                bar.advance(task)
                if event.what == "failed":
                    bar.console.print(_line(event), markup=False, style="red")
            described = ", ".join(f"{case}: {stage}" for case, stage in sorted(at_work.items()))
            bar.update(task, description=described or "cases")

        yield show


def _line(event: Event) -> str:
    clock = time.strftime("%H:%M:%S")
    what = f"{event.stage} {event.what}".strip()
    took = f" ({event.seconds:.1f} s)" if event.what in ("finished", "done") else ""
    return f"{clock} {event.case} {what}{took}{': ' + event.message if event.message else ''}"
