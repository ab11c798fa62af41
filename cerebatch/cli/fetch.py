"""`cerebatch library fetch`: download the public maps, each checked, and build the library from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cerebatch.cli.options import Resolution, say

if TYPE_CHECKING:
    from cerebatch.building.published import Published

_LINE_EVERY_S = 5.0


def fetch(
    folder: Annotated[
        Path | None, typer.Argument(help="Gets the files and the library. [default: your data folder]")
    ] = None,
    with_scans: Annotated[
        bool, typer.Option("--with-scans", help="Also CoBrALab's T1w and T2w archives: cases of real scans.")
    ] = False,
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm.")] = Resolution.one,
    cases: Annotated[int | None, typer.Option(min=1, help="Pairs of map and head. [default: all]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the heads' registration.")] = 1,
    processes: Annotated[int | None, typer.Option(min=1, help="Cases at a time. [default: cores]")] = None,
    table: Annotated[
        Path | None, typer.Option(help="Other addresses: a copy of the table of published files, for a mirror.")
    ] = None,
    no_build: Annotated[bool, typer.Option("--no-build", help="Only download.")] = False,
) -> None:
    """Download the public label maps (CC BY-NC-SA 4.0, Apache-2.0) and build the library."""
    from cerebatch.building.fetch import fetch as fetch_files
    from cerebatch.building.published import TABLE, read_table
    from cerebatch.library.found import library_in, user_folder

    folder = (folder or user_folder()).expanduser().absolute()
    files, edge, console = read_table(table or TABLE), float(resolution.value), Console()
    for licence in sorted({file.licence for file in files}):
        names = [file.name for file in files if file.licence == licence and (with_scans or file.kind != "scans")]
        say(console, f"{len(names)} files under {licence}: {names[0]} ... {names[-1]}")
    with _progress(console) as tell_bytes:
        fetched = fetch_files(
            folder, files, with_scans=with_scans, resolution=edge, tell=lambda line: say(console, line),
            tell_bytes=tell_bytes,
        )  # fmt: skip
    say(console, f"downloaded and checked: {folder}")
    if no_build:
        return
    from cerebatch.batch.cluster.machine import usable_cores
    from cerebatch.building.build import Plan, build, label_maps
    from cerebatch.library.found import VARIABLE
    from cerebatch.library.layout import BUILDING

    path = library_in(folder, edge)
    if path.exists() and not (path / BUILDING).exists():
        say(console, f"{path} is finished already; delete it to build it anew")
    else:
        plan = Plan(label_maps(fetched.lobules), label_maps(fetched.heads), fetched.scans, cases, edge, seed)
        build(path, plan, processes=processes or usable_cores(), tell=lambda line: say(console, line))
    if folder == user_folder():
        say(console, f"library: {path}: `run`, `segment`, `train` and `augment` find it there")
    else:
        say(console, f"library: {path}: give it by --library, or set {VARIABLE}={folder}")


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[Published, int], None]]:
    """A bar a file on a terminal, a line every few seconds elsewhere."""
    if console.is_terminal:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console) as bars:
            rows: dict[str, object] = {}

            def show(file: Published, there: int) -> None:
                if file.name not in rows:
                    rows[file.name] = bars.add_task(file.name, total=file.bytes)
                bars.update(rows[file.name], completed=there)  # type: ignore[arg-type]

            yield show
        return
    told: dict[str, float] = {}

    def line(file: Published, there: int) -> None:
        now = time.monotonic()
        if there == file.bytes or now - told.get(file.name, -_LINE_EVERY_S) >= _LINE_EVERY_S:
            told[file.name] = now
            say(console, f"{file.name}: {there / 1e6:.1f} MB" + (f" of {file.bytes / 1e6:.1f}" if file.bytes else ""))

    yield line
