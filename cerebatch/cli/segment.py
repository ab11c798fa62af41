"""`cerebatch segment`: one scan, or a few, from the file to its page; no dataset, no cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cerebatch.cli.options import SOME_FAILED, Resolution, say
from cerebatch.cli.run import Segmenter as Method
from cerebatch.errors import CerebatchError, SettingsError

if TYPE_CHECKING:
    from cerebatch.batch.ledger.events import Event
    from cerebatch.report.result import Person
    from cerebatch.single.naming import Label
    from cerebatch.single.segmenter import Segmenter


def segment(
    t1w: Annotated[list[Path], typer.Argument(help="T1-weighted scans: NIfTI or MGH files, or folders of DICOM.")],
    t2w: Annotated[Path | None, typer.Option(help="A T2w of the same session; with one T1w.")] = None,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("cerebatch-out"),
    name: Annotated[str | None, typer.Option(help="Of the case; with one T1w. [default: that of the file]")] = None,
    method: Annotated[Method, typer.Option(help="Who gives the labels.")] = Method.networks,
    library: Annotated[
        Path | None, typer.Option(help="Library of labelled cases: an atlas of each scan, which the networks see.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights. [default: those of cerebatch]")] = None,
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm; 4.0: trials.")] = Resolution.one,
    probseg: Annotated[bool, typer.Option("--probseg", help="Write the probability of every label.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the kernels; ANTs takes one. [default: all cores]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the registration.")] = 1,
    age: Annotated[float | None, typer.Option(min=0, max=120, help="Years, for the page; with one T1w.")] = None,
    sex: Annotated[str | None, typer.Option(help="F or M, for the page; with one T1w.")] = None,
    norms: Annotated[
        Path | None, typer.Option(help="model.json of `cerebatch lifespan fit`: bounds for age and sex on the page.")
    ] = None,
    pages: Annotated[bool, typer.Option(help="Write a page of each scan.")] = True,
    pdf: Annotated[bool, typer.Option(help="Write each page as PDF, too.")] = True,
) -> None:
    """Segment one scan, or several one after the other; a scan that fails stops no other."""
    from cerebatch.batch.cluster.machine import usable_cores
    from cerebatch.io.participants import parse_sex
    from cerebatch.single.naming import labels_of, parse_name
    from cerebatch.single.segmenter import Segmenter
    from cerebatch.single.settings import settings_of

    for option, value in (("--t2w", t2w), ("--name", name), ("--age", age), ("--sex", sex)):
        if value is not None and len(t1w) > 1:
            raise SettingsError(f"{option}: expected one T1w with it, found {len(t1w)}. Give one scan a call.")
    if norms is not None:
        from cerebatch.report.norms import read_norms

        read_norms(norms)
    told_sex, doubts = parse_sex(sex or "")
    if doubts:
        raise SettingsError(f"--sex {sex}: expected F or M")
    settings = settings_of(
        resolution=float(resolution.value),
        method="atlas" if method is Method.atlas else "networks",
        library=library,
        weights=weights,
        probabilities=probseg,
        threads=threads or usable_cores(),
        seed=seed,
    )
    from cerebatch.report.result import Person

    out, console = out.expanduser().absolute(), Console()
    labels = [parse_name(name)] if name else labels_of(t1w)
    failed = 0
    with Segmenter(settings) as segmenter:
        for scan, label in zip(t1w, labels, strict=True):
            try:
                _one(scan, t2w, label, out, segmenter, console)
                if pages:
                    failed += not _page(out, label, Person(age, told_sex), norms, pdf, console)
            except CerebatchError as error:
                failed += 1
                say(Console(stderr=True), f"cerebatch: {error}")
    if len(t1w) > 1:
        say(console, f"{len(t1w) - failed} of {len(t1w)} scans done. Results: {out}")
    if failed:
        raise typer.Exit(SOME_FAILED)


def _one(scan: Path, t2w: Path | None, label: Label, out: Path, segmenter: Segmenter, console: Console) -> None:
    from cerebatch.single.given import take_session

    began = time.monotonic()
    case = take_session(scan, t2w, out / "converted", label)
    with _progress(case.name, segmenter.stages, console) as tell:
        folder = segmenter.run(case, out, tell)
    say(console, f"{case.name}: done in {time.monotonic() - began:.0f} s: {folder / 'anat'}")


def _page(out: Path, label: Label, person: Person, norms: Path | None, pdf: bool, console: Console) -> bool:
    from cerebatch.cli.pages import CsvLayout, write_pages_of
    from cerebatch.io.bids import Case

    case = Case(*label, t1w=out)
    return write_pages_of(
        out, {case.name: out / case.folder.parent}, {case.name: person},
        norms=norms, layout=CsvLayout.tidy, pdf=pdf, console=console,
    )  # fmt: skip


@contextmanager
def _progress(name: str, stages: tuple[str, ...], console: Console) -> Iterator[Callable[[Event], None]]:
    """One line that changes on a terminal, a line a stage elsewhere."""

    def words(stage: str) -> str:
        return f"{name}: {stage} ({stages.index(stage) + 1} of {len(stages)})"

    if console.is_terminal:
        with console.status(f"{name}: starting") as status:
            yield lambda event: status.update(words(event.stage)) if event.what == "started" else None
        return

    def line(event: Event) -> None:
        if event.what == "finished":
            say(console, f"{words(event.stage)} {event.seconds:.1f} s")

    yield line
