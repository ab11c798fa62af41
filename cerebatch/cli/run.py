"""`cerebatch run`: parse, check what would fail every case, hand the cases to the relay, tell how it ended."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cerebatch.cli.extras import require
from cerebatch.cli.options import Registrar, Resolution, helper_weights_if, say
from cerebatch.cli.outcomes import exit_status, print_unfinished
from cerebatch.cli.page_maker import PageMaker
from cerebatch.cli.pages import CsvLayout, announce_pages, merge_cohort, write_case_pages
from cerebatch.cli.plan import tell_plan
from cerebatch.errors import InputError, SettingsError

if TYPE_CHECKING:
    from cerebatch.batch.ledger.events import Event
    from cerebatch.batch.outcome import Outcome
    from cerebatch.io.bids import Case, Cohort
    from cerebatch.stages.settings import Method


class Level(StrEnum):
    """Analysis level of a BIDS app."""

    participant = "participant"
    group = "group"


class Segmenter(StrEnum):
    """Who gives the labels."""

    networks = "networks"
    atlas = "atlas"


class Cavity(StrEnum):
    """What tells the intracranial volume."""

    affine = "affine"
    network = "network"


class Precision(StrEnum):
    """Of the numbers in the networks."""

    single = "float32"
    half = "bfloat16"


def run(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS dataset with T1w images.")],
    out_dir: Annotated[Path, typer.Argument(help="Where the derivatives go.")],
    level: Annotated[Level, typer.Argument(help="Each participant, or the group: tables and page of all of them.")],
    method: Annotated[
        Segmenter | None, typer.Option(help="Who gives the labels. [default: networks, or the labelled case]")
    ] = None,
    library: Annotated[
        Path | None,
        typer.Option(help="Library of labelled cases: an atlas of each scan for the networks. [default: as found]"),
    ] = None,
    no_library: Annotated[
        bool,
        typer.Option(
            "--no-library", help="No atlas, even where a library is found (CEREBATCH_LIBRARY, your data folder)."
        ),
    ] = False,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights. [default: those of cerebatch]")] = None,
    labelled_case: Annotated[
        Path | None, typer.Option(help="A label map on the template, carried over to every scan; no networks.")
    ] = None,
    registration: Annotated[Registrar, typer.Option(help="What brings library cases to a scan.")] = Registrar.greedy,
    icv: Annotated[Cavity, typer.Option(help="What tells the intracranial volume of a whole head.")] = Cavity.affine,
    super_resolution: Annotated[
        bool, typer.Option("--super-resolution", help="Let a network refine T1w scans coarser than the grid.")
    ] = False,
    synthesise_t2w: Annotated[
        bool, typer.Option("--synthesise-t2w", help="Where no T2w was scanned, let a network make one up.")
    ] = False,
    auxiliary_weights: Annotated[
        Path | None, typer.Option(help="Folder with weights of these networks. [default: those of cerebatch]")
    ] = None,
    probseg: Annotated[bool, typer.Option("--probseg", help="Write the probability of every label.")] = False,
    precision: Annotated[Precision, typer.Option(help="Of the networks.")] = Precision.single,
    participant_label: Annotated[list[str] | None, typer.Option(help="Only this participant; repeatable.")] = None,
    session_label: Annotated[list[str] | None, typer.Option(help="Only this session; repeatable.")] = None,
    bids_filter: Annotated[list[str] | None, typer.Option(help="Only images with entity=value; repeatable.")] = None,
    work: Annotated[Path | None, typer.Option(help="Folder of intermediate files. [default: OUT_DIR/work]")] = None,
    keep_work: Annotated[bool, typer.Option(help="Keep intermediate files of finished cases.")] = False,
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm; 4.0: trials.")] = Resolution.one,
    profile: Annotated[str, typer.Option(help="Where to run: see `cerebatch profile list`, or a YAML file.")] = "local",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one case in the kernels; ANTs takes one.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the registration.")] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before with the same inputs and settings.")
    ] = False,
    pages: Annotated[bool, typer.Option(help="Write a page of each case.")] = True,
    pdf: Annotated[bool, typer.Option(help="Write each page as PDF, too.")] = True,
    norms: Annotated[
        Path | None, typer.Option(help="model.json of `cerebatch lifespan fit`: bounds for age and sex on the pages.")
    ] = None,
    csv_layout: Annotated[
        CsvLayout, typer.Option(help="Of CSV files; ceres: semicolons, one column a volume.")
    ] = CsvLayout.tidy,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Segment every T1w of a BIDS dataset; a second call does only what is missing."""
    from cerebatch.batch.case import CaseJob
    from cerebatch.batch.cluster.profile import load_profile
    from cerebatch.batch.derivatives import write_description
    from cerebatch.batch.kept_library import choose_library, keep_library, words
    from cerebatch.batch.reporting.display import progress
    from cerebatch.batch.run import run_jobs
    from cerebatch.io.bids import find_cases, parse_filters
    from cerebatch.stages.segment import load_networks
    from cerebatch.stages.settings import RunSettings
    from cerebatch.stages.sources import check_labels, checked_weights

    bids_dir, out, console = bids_dir.resolve(), out_dir.resolve(), Console()
    if norms is not None:
        from cerebatch.report.norms import read_norms

        read_norms(norms.resolve())
    if level is Level.group:
        _require_dataset(bids_dir)
        merge_cohort(
            out,
            bids_dir,
            norms=norms.resolve() if norms else None,
            layout=csv_layout,
            pdf=pdf,
            console=console,
        )
        return
    place = load_profile(profile)
    if place.kind != "serial":
        require("cluster", f"the profile {profile}", "Or run with --profile serial, in one process.")
    cohort = find_cases(
        bids_dir,
        participants=participant_label or (),
        sessions=session_label or (),
        filters=parse_filters(bids_filter or ()),
    )
    if synthesise_t2w and method not in (None, Segmenter.networks):
        raise SettingsError(f"--synthesise-t2w: expected the method networks, found {method}")
    chosen = None
    if labelled_case is None:
        _require_one_wish(library, no_library)
        chosen = choose_library(out, library, no_library, float(resolution.value))
        library = chosen.path if chosen else None
    who = _method(method, library, weights, labelled_case)
    if registration is not Registrar.greedy and library is None:
        raise SettingsError(f"--registration {registration}: expected a library, whose cases are registered")
    if synthesise_t2w and who != "networks":
        raise SettingsError(f"--synthesise-t2w: expected the method networks, found {who}")
    if who == "networks":
        weights = checked_weights(weights, float(resolution.value)).resolve()
    check_labels(library, labelled_case, float(resolution.value))
    settings = RunSettings(
        resolution=float(resolution.value),
        method=who,
        weights=weights,
        library=library.resolve() if library else None,
        labelled_case=labelled_case.resolve() if labelled_case else None,
        registration=helper_weights_if("registration", registration is Registrar.network, auxiliary_weights),
        composed=registration is Registrar.composed,
        icv=helper_weights_if("icv", icv is Cavity.network, auxiliary_weights),
        superres=helper_weights_if("superres", super_resolution, auxiliary_weights, float(resolution.value)),
        t2_synthesis=helper_weights_if("t2synth", synthesise_t2w, auxiliary_weights, float(resolution.value)),
        precision="float32" if precision is Precision.single else "bfloat16",
        probseg=probseg,
        seed=seed,
        threads=threads,
    )
    work_dir = (work or out / "work").resolve()

    def page_of(case: Case) -> PageMaker | None:
        folder = (out / case.folder).parent
        given = norms.resolve() if norms else None
        return PageMaker(case.name, folder, out, bids_dir, given, csv_layout.value, pdf) if pages else None

    jobs = [
        CaseJob(case.name, out, work_dir, keep_work, page_of(case), case=case, settings=settings)
        for case in cohort.cases
    ]
    for warning in cohort.warnings:
        say(console, f"warning: {warning}")
    if labelled_case is None:
        say(console, words(chosen))
    if dry_run:
        tell_plan(jobs, cohort.problems, place, out, console, retry_failed=retry_failed)
        return
    write_description(out, bids_dir)
    if labelled_case is None:
        keep_library(out, chosen)
    outcomes: list[Outcome] = []
    without_page: list[str] = []
    if jobs:
        if pages:
            announce_pages(out, pdf=pdf, console=console)
        with progress(len(jobs), list(jobs[0].needs()), console) as show:

            def tell(event: Event) -> None:
                if event.case and event.what == "said":
                    without_page.append(f"{event.case}: {event.message}")
                show(event)

            left_out = {problem.name: problem.reason for problem in cohort.problems}
            for outcome in run_jobs(
                jobs,
                place,
                out,
                tell,
                profile_name=profile,
                left_out=left_out,
                retry_failed=retry_failed,
                warm_up=partial(load_networks, weights) if weights else None,
            ):
                outcomes.append(outcome)
    _print_end(outcomes, cohort, out, console)
    for line in without_page:
        say(console, line)
    # Pages of cases that are done now were made with them; those of earlier runs may show other norms.
    before = [outcome.case for outcome in outcomes if outcome.status == "skipped"]
    whole = not (pages and before) or write_case_pages(
        out,
        bids_dir,
        before,
        norms=norms.resolve() if norms else None,
        layout=csv_layout,
        pdf=pdf,
        console=console,
    )
    if status := exit_status(outcomes, whole=whole and not without_page and not cohort.problems):
        raise typer.Exit(status)


def _method(asked: Segmenter | None, library: Path | None, weights: Path | None, labelled_case: Path | None) -> Method:
    """The method that the options mean together.

    Raises
    ------
    SettingsError
        They contradict each other.
    """
    if labelled_case is not None:
        if asked is not None or library is not None or weights is not None:
            raise SettingsError("--labelled-case: expected it without --method, --library and --weights")
        return "single case"
    if asked is not Segmenter.atlas:
        return "networks"
    if library is None or weights is not None:
        raise SettingsError(
            "--method atlas: expected --library, and no --weights. `cerebatch library fetch` makes a library from "
            "published lobule maps."
        )
    return "atlas"


def _require_one_wish(library: Path | None, no_library: bool) -> None:
    if library is not None and no_library:
        raise SettingsError("--no-library: expected it without --library")


def _require_dataset(bids_dir: Path) -> None:
    if not bids_dir.is_dir():
        do = "Give the folder of the scans: its participants.tsv tells ages and sexes."
        raise InputError(bids_dir, expected="the folder of a BIDS dataset", found="none", do=do)


def _print_end(outcomes: list[Outcome], cohort: Cohort, out: Path, console: Console) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    say(
        console,
        f"{counts['done']} done, {counts['skipped']} done before, {counts['failed']} failed, "
        f"{len(cohort.problems)} left out. Results: {out}",
    )
    print_unfinished(outcomes, cohort.problems, console)
