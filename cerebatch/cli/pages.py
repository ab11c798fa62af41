"""What `cerebatch run` writes for people to look at: pages of cases, and the tables and page of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cerebatch.cli.options import SOME_FAILED, say
from cerebatch.errors import DatasetError

if TYPE_CHECKING:
    from cerebatch.report.result import Person


class CsvLayout(StrEnum):
    """Columns of the CSV files."""

    tidy = "tidy"
    ceres = "ceres"


class Program(StrEnum):
    """Programs that read a table of labels."""

    fsleyes = "fsleyes"
    itksnap = "itksnap"


def announce_pages(out: Path, *, pdf: bool, console: Console) -> None:
    """Make the folder of the pages with its look-up tables, and say if PDFs cannot be written here."""
    from cerebatch.io.lookup_tables import write_lookup_tables
    from cerebatch.report.pages import FOLDER
    from cerebatch.report.pdf import HOW_TO_GET_THEM, can_write_pdf

    (out / FOLDER).mkdir(exist_ok=True)
    write_lookup_tables(out)
    if pdf and not can_write_pdf():
        say(console, HOW_TO_GET_THEM)


def write_case_pages(
    out: Path,
    bids_dir: Path,
    names: Sequence[str],
    *,
    norms: Path | None,
    layout: CsvLayout,
    pdf: bool,
    console: Console,
) -> bool:
    """Write the pages of finished cases, and tell how it went.

    Parameters
    ----------
    out, bids_dir : Path
    names : sequence of str
        Cases of this run; those that are not whole are passed over.
    norms : Path or None
    layout : CsvLayout
    pdf : bool
    console : Console

    Returns
    -------
    whole : bool
        Whether every page could be written.
    """
    from cerebatch.batch.reporting.completed import finished_cases
    from cerebatch.report.people import people_of

    folders = {name: folder for name, folder in finished_cases(out).folders.items() if name in set(names)}
    people = people_of(bids_dir, folders)
    return write_pages_of(out, folders, people, norms=norms, layout=layout, pdf=pdf, console=console)


def write_pages_of(
    out: Path,
    folders: Mapping[str, Path],
    people: Mapping[str, Person],
    *,
    norms: Path | None,
    layout: CsvLayout,
    pdf: bool,
    console: Console,
) -> bool:
    """Write the pages of these cases, and tell how it went.

    Parameters
    ----------
    out : Path
    folders, people : mapping
        Name of a case -> folder that holds its ``anat/``, and who was scanned.
    norms : Path or None
    layout : CsvLayout
    pdf : bool
    console : Console

    Returns
    -------
    whole : bool
        Whether every page could be written.
    """
    from cerebatch.batch.cluster.machine import usable_cores
    from cerebatch.io.lookup_tables import write_lookup_tables
    from cerebatch.report.pages import FOLDER, Order, write_pages

    if not folders:
        return True
    (out / FOLDER).mkdir(exist_ok=True)
    write_lookup_tables(out)
    orders = [
        Order(name, folder, out / FOLDER, people[name], norms, layout.value, pdf) for name, folder in folders.items()
    ]
    written = list(write_pages(orders, usable_cores(), lambda words: say(console, words)))
    counts = {done: sum(one.done == done for one in written) for done in ("written", "unchanged", "failed")}
    say(console, f"Pages: {counts['written']} written, {counts['unchanged']} unchanged: {out / FOLDER}")
    for one in written:
        if one.reason:
            say(console, f"no page: {one.name}: {one.reason}")
    return not counts["failed"]


def merge_cohort(
    out: Path, bids_dir: Path, *, norms: Path | None, layout: CsvLayout, pdf: bool, console: Console
) -> None:
    """Write pages that are missing, then tables, curves and page of the cohort.

    Parameters
    ----------
    out, bids_dir : Path
    norms : Path or None
    layout : CsvLayout
    pdf : bool
    console : Console

    Raises
    ------
    DatasetError
        No case is finished.
    """
    from cerebatch.batch.cluster.profile import usable_cores
    from cerebatch.batch.reporting.completed import finished_cases
    from cerebatch.report.group import merge
    from cerebatch.report.people import people_of

    found = finished_cases(out)
    if not found.folders:
        raise DatasetError(
            out,
            expected="finished cases",
            found=f"none, and {len(found.unfinished)} that are not finished",
            do="Run `cerebatch run BIDS_DIR OUT_DIR participant` first, with the same OUT_DIR.",
        )
    people = people_of(bids_dir, found.folders)
    whole = write_pages_of(out, found.folders, people, norms=norms, layout=layout, pdf=pdf, console=console)
    merged = merge(
        out,
        found.folders,
        found.unfinished,
        {failure.case: (failure.stage, failure.kind) for failure in found.failures},
        people,
        norms=norms,
        layout=layout.value,
        processes=usable_cores(),
        tell=lambda words: say(console, words),
    )
    say(
        console,
        f"{merged.cases} cases merged, {merged.left_out} left out (failures.tsv). Look at: {out / 'cohort.html'}",
    )
    if not whole:
        raise typer.Exit(SOME_FAILED)


def labels(
    lut: Annotated[Program, typer.Option(help="Which program is to read it.")],
    out: Annotated[Path, typer.Argument(help="Folder to write it into.")],
) -> None:
    """Write names and colours of the labels for a viewer."""
    from cerebatch.io.lookup_tables import write_lookup_table

    print(write_lookup_table(lut.value, out))
