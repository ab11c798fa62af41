"""`cerebatch status`: how a run stands, as tables on a terminal, as aligned text elsewhere, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cerebatch.batch.reporting.status import Status

BYTES_CHANGED = 1
"""Exit status of --verify."""


def status(
    out_dir: Annotated[Path, typer.Argument(help="Folder that a run wrote or writes into.")],
    failed: Annotated[bool, typer.Option("--failed", help="Only the failed cases, one a line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs; for --failed, too.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the outputs and compare digests; exit status 1 if bytes changed.")
    ] = False,
) -> None:
    """Tell how a run stands, from its records: while it runs, and after it ended or was killed.

    The keys of --json are the attributes of `cerebatch.batch.reporting.status.Status`: out_dir, looked, verified,
    counts (expected, done, at_work, waiting, failed, changed), states (by case), stages (name, done, at_work, failed,
    to_do, timed, mean_seconds, largest_seconds, peak_mb), at_work (by case: run, host, pid, stage, started, taken,
    seconds), failed (case, stage, kind, message, key, limits, when), failed_by_kind, left_out (by name), seconds_left,
    no_time_because, runs (run, began, host, pid, profile, cases, how, ended, counts), changed (case, stage, path,
    found). Times of day are UTC, ISO 8601; a number that is not known is null.
    """
    from cerebatch.batch.reporting.status import gather

    found = gather(out_dir, verify=verify)
    if as_json:
        from pydantic import TypeAdapter

        print(TypeAdapter(type(found)).dump_json(found, indent=2).decode())
    elif failed:
        _tell_failed(found)
    else:
        _tell(found)
    if found.changed:
        if not as_json:
            _tell_changed(found)
        raise typer.Exit(BYTES_CHANGED)
    if verify and not as_json:
        print("every output that was read is as it was written")


def _tell(found: Status) -> None:
    """Print the long tables first: on a terminal the end stays in sight."""
    _table(
        ("at work", "stage", "run", "driver", "since"),
        ((case, one.stage or "-", one.run, one.host, one.taken) for case, one in found.at_work.items()),
    )
    _table(
        ("run", "began", "driver", "pid", "profile", "cases", "how it stands"),
        (
            (one.run, one.began, one.host, str(one.pid), one.profile, str(one.cases), f"{one.how} {one.ended}".strip())
            for one in found.runs
        ),
    )
    _table(
        ("stage", "done", "at work", "failed", "to do", "mean", "largest", "peak memory"),
        (
            (
                stage.name,
                str(stage.done),
                str(stage.at_work),
                str(stage.failed),
                str(stage.to_do),
                _duration(stage.mean_seconds),
                _duration(stage.largest_seconds),
                "-" if stage.peak_mb is None else f"{stage.peak_mb:.0f} MB",
            )
            for stage in found.stages
        ),
        words=1,
    )
    _tell_kinds(found)
    if found.failed:
        print(f"why, case by case: cerebatch status {found.out_dir} --failed")
    counts = found.counts
    print(
        f"\n{counts['expected']} cases: {counts['done']} done, {counts['at_work']} at work, "
        f"{counts['waiting']} waiting, {counts['failed']} failed"
        + (f", {counts['changed']} with changed outputs" if found.verified else "")
        + (f"; {len(found.left_out)} left out before they began" if found.left_out else "")
    )
    if not found.at_work:
        print("nothing is at work")
    elif found.seconds_left is None:
        print(f"time left: not known, {found.no_time_because}")
    else:
        print(f"time left: {_duration(found.seconds_left)}, if {counts['at_work']} stay at work")


def _tell_kinds(found: Status) -> None:
    _table(("cases", "failed by"), ((str(number), kind) for kind, number in found.failed_by_kind.items()))


def _tell_failed(found: Status) -> None:
    if not found.failed:
        print("no case failed")
        return
    _tell_kinds(found)
    print()
    _lines([(one.case, one.stage, one.kind, one.when, " ".join(one.message.split())) for one in found.failed])


def _tell_changed(found: Status) -> None:
    print("\nother bytes than were written; delete them, and the next run makes them again:")
    _lines([(one.case, one.stage, one.found, one.path) for one in found.changed])


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], words: int | None = None) -> None:
    """Print a table after an empty line; nothing if it has no rows.

    Parameters
    ----------
    header : tuple of str
    rows : iterable of tuple of str
    words : int, optional
        How many columns are words; those after them are numbers and stand to the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)
    words = len(header) if words is None else words
    if not cells:
        return
    print()
    console = Console()
    if not console.is_terminal:
        _lines([header, *cells], words)
        return
    table = Table()
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < words else "right")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _lines(rows: Sequence[tuple[str, ...]], words: int | None = None) -> None:
    """Print aligned columns, the last as long as it is; columns after the first `words` stand to the right."""
    words = len(rows[0]) if words is None else words
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if number < words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _duration(seconds: float | None) -> str:
    """For people: two units at most."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min" if minutes >= 10 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
