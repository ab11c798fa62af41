"""The command line: parse, call one function, print. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cerebatch.cli_profile import profile_app
from cerebatch.cli_status import status
from cerebatch.errors import CerebatchError, InputError, LibraryError, SettingsError

if TYPE_CHECKING:
    from cerebatch.batch.case import CaseJob
    from cerebatch.batch.relay import Outcome
    from cerebatch.bids import Cohort

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)
library_app = typer.Typer(no_args_is_help=True, help="Labelled cases.")
app.add_typer(library_app, name="library")
app.add_typer(profile_app, name="profile")

SOME_FAILED, COULD_NOT_RUN = 1, 2


class Level(StrEnum):
    """Analysis level of a BIDS app."""

    participant = "participant"


class Resolution(StrEnum):
    """Edge of the MNI grid, millimetres."""

    one = "1.0"
    half = "0.5"
    trial = "4.0"


def main() -> None:
    """Entry point: errors that a user can mend are one message and exit status 2."""
    try:
        app()
    except CerebatchError as error:
        _say(Console(stderr=True), f"cerebatch: {error}")
        sys.exit(COULD_NOT_RUN)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Cerebellar lobule segmentation and volumetry for whole cohorts."""
    if version:
        from cerebatch import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def run(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS dataset with T1w images.")],
    out_dir: Annotated[Path, typer.Argument(help="Where the derivatives go.")],
    level: Annotated[Level, typer.Argument(help="Level of analysis.")],
    library: Annotated[Path | None, typer.Option(help="Library of labelled cases: an atlas of each scan.")] = None,
    labelled_case: Annotated[
        Path | None,
        typer.Option(help="Without a library: a label map on the template, carried over to every scan."),
    ] = None,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Segment every T1w of a BIDS dataset; a second call does only what is missing."""
    from cerebatch.batch.case import CaseJob
    from cerebatch.batch.display import progress
    from cerebatch.batch.profile import load_profile
    from cerebatch.batch.run import run_jobs
    from cerebatch.bids import find_cases, parse_filters
    from cerebatch.settings import RunSettings

    if (library is None) == (labelled_case is None):
        raise SettingsError(
            "--library or --labelled-case: expected one of the two, found "
            f"{'neither' if library is None else 'both'}. `cerebatch library build` makes a library from published "
            "lobule maps, `cerebatch library place` a single labelled case; `cerebatch simulate` writes that of the "
            "phantom."
        )
    place = load_profile(profile)
    cohort = find_cases(
        bids_dir,
        participants=participant_label or (),
        sessions=session_label or (),
        filters=parse_filters(bids_filter or ()),
    )
    _check_labels(library, labelled_case, float(resolution.value))
    settings = RunSettings(
        resolution=float(resolution.value),
        library=library.resolve() if library else None,
        labelled_case=labelled_case.resolve() if labelled_case else None,
        seed=seed,
        threads=threads,
    )
    out = out_dir.resolve()
    work_dir = (work or out / "work").resolve()
    jobs = [CaseJob(case.name, out, work_dir, keep_work, case=case, settings=settings) for case in cohort.cases]
    console = Console()
    for warning in cohort.warnings:
        _say(console, f"warning: {warning}")
    if dry_run:
        _tell_plan(jobs, cohort, console)
        return
    _write_description(out)
    outcomes: list[Outcome] = []
    if jobs:
        with progress(len(jobs), list(jobs[0].needs()), console) as tell:
            left_out = {problem.name: problem.reason for problem in cohort.problems}
            for outcome in run_jobs(
                jobs, place, out, tell, profile_name=profile, left_out=left_out, retry_failed=retry_failed
            ):
                outcomes.append(outcome)
    _tell_end(outcomes, cohort, out, console)
    if cohort.problems or any(outcome.status in ("failed", "handed back") for outcome in outcomes):
        raise typer.Exit(SOME_FAILED)


def _check_labels(library: Path | None, labelled_case: Path | None, resolution: float) -> None:
    """Refuse now what would fail every case."""
    if labelled_case is not None:
        from cerebatch.stages.segment import read_labelled_case

        read_labelled_case(labelled_case)
    if library is not None:
        from cerebatch.library.store import open_library

        found = open_library(library).resolution
        if found != resolution:
            raise LibraryError(
                library,
                expected=f"a library of {resolution} mm",
                found=f"one of {found} mm",
                do=f"Run with --resolution {found}, or build a library of {resolution} mm.",
            )


app.command()(status)


@app.command()
def volumes(dseg: Annotated[Path, typer.Argument(help="Label map in cerebatch codes, native or MNI.")]) -> None:
    """Count an existing label map again; the table goes to standard output."""
    from cerebatch.labelmaps import read_dseg
    from cerebatch.volumes import COLUMNS, counted_cm3, table

    voxels, grid = read_dseg(dseg)
    found = counted_cm3(voxels, grid.voxel_volume_mm3)
    print("\t".join(COLUMNS))
    for row in table(None, found, None):
        print("\t".join(row.as_text().values()))


@app.command()
def simulate(
    out_bids: Annotated[Path, typer.Argument(help="Folder of the dataset; must not hold one already.")],
    people: Annotated[int, typer.Option(min=1, help="How many.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    voxel_size: Annotated[float, typer.Option(min=0.5, max=3.5, help="Edge of a voxel in mm.")] = 1.0,
    skull: Annotated[bool, typer.Option(help="Whole heads, or brain-extracted ones.")] = True,
    t2w: Annotated[bool, typer.Option("--t2w", help="Write a T2w of each, too.")] = False,
) -> None:
    """Write phantoms: made-up people as a BIDS dataset, with the true labels beside it."""
    from cerebatch.phantom import write_cohort

    write_cohort(out_bids, people, seed, resolution_mm=voxel_size, skull=skull, t2=t2w)
    print(f"{people} phantoms (made up, not people) in {out_bids}, their truth in derivatives/phantom-truth")


@app.command()
def template(
    out_bids: Annotated[Path, typer.Argument(help="Folder of the dataset; must not hold one already.")],
) -> None:
    """Write the MNI152 template as a BIDS dataset of one person: a real T1w that needs no download."""
    from cerebatch.template import write_dataset

    print(f"wrote {write_dataset(out_bids)}")


@library_app.command()
def build(
    out: Annotated[Path, typer.Argument(help="Library to make, .zarr; an unfinished one is gone on with.")],
    lobules: Annotated[Path, typer.Option(help="Folder of lobule maps (CoBrALab codes, *.nii.gz).")],
    heads: Annotated[Path, typer.Option(help="Folder of whole-head label maps (SynthSeg's codes, *.nii.gz).")],
    scans: Annotated[
        Path | None, typer.Option(help="Folder of the maps' own scans: MAP_T1w.nii.gz and MAP_T2w.nii.gz.")
    ] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Pairs of map and head. [default: all]")] = None,
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm.")] = Resolution.one,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the heads' registration.")] = 1,
    processes: Annotated[int | None, typer.Option(min=1, help="Cases at a time. [default: cores]")] = None,
) -> None:
    """Make labelled cases: each lobule map in each head, and the mirrored twins."""
    from cerebatch.batch.profile import usable_cores
    from cerebatch.library.build import Plan, label_maps
    from cerebatch.library.build import build as build_library

    plan = Plan(label_maps(lobules), label_maps(heads), scans, cases, float(resolution.value), seed)
    build_library(out, plan, processes=processes or usable_cores(), tell=lambda line: print(line, flush=True))
    info(out)


@library_app.command()
def info(library: Annotated[Path, typer.Argument(help="A finished library.")]) -> None:
    """Tell what a library holds."""
    from cerebatch.library.store import info as describe

    for name, value in describe(library).items():
        print(f"{name}: {value}")


@library_app.command()
def verify(library: Annotated[Path, typer.Argument(help="A finished library.")]) -> None:
    """Read every case and tell what is wrong with it; exit status 1 if anything is."""
    from cerebatch.library.verify import verify as find_problems

    problems = find_problems(library)
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(SOME_FAILED)
    print("every case is as it was written")


@library_app.command()
def place(
    lobules: Annotated[Path, typer.Argument(help="Lobule map in CoBrALab codes.")],
    out: Annotated[Path, typer.Argument(help="Labelled case to write (.nii.gz).")],
    atlas: Annotated[Path, typer.Option(help="Folder with the SUIT parcellation and its T1w in MNI152NLin6Asym.")],
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm.")] = Resolution.one,
) -> None:
    """Place one published lobule map on the template's cerebellum, affinely."""
    from cerebatch.library.place import place as place_map
    from cerebatch.library.place import write_case

    placed = place_map(
        lobules,
        atlas / "suit_space-MNI152NLin6Asym_dseg.nii.gz",
        atlas / "cerebellum_space-MNI152NLin6Asym_T1w.nii.gz",
        float(resolution.value),
    )
    write_case(placed, out)
    for code, count in placed.dropped.items():
        print(f"warning: {lobules}: {count} voxels of code {code}, which is not in the protocol, became background")
    print(f"wrote {out}; Dice with SUIT, merged labels: {sum(placed.agreement.values()) / len(placed.agreement):.2f}")


def _write_description(out: Path) -> None:
    from cerebatch import __version__
    from cerebatch.bids import dataset_description
    from cerebatch.files import write_json

    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "dataset_description.json", dataset_description(__version__))
        (out / ".bidsignore").write_text("records/\nlogs/\nwork/\n**/figures/\n*_xfm.txt\n*_volumes.*\n")
    except OSError as error:
        raise InputError(
            out, expected="a folder that can be written", found=str(error.strerror), do="Give another OUT_DIR."
        ) from error


def _tell_plan(jobs: list[CaseJob], cohort: Cohort, console: Console) -> None:
    from cerebatch.batch.advance import missing

    for job in jobs:
        try:
            stages = ", ".join(stage.name for stage in missing(job, job.plan())) or "nothing, it is done"
        except CerebatchError as error:
            stages = f"cannot run: {error}"
        _say(console, f"{job.name}: {stages}")
    for problem in cohort.problems:
        _say(console, f"{problem.name}: left out: {problem.reason}")


def _tell_end(outcomes: list[Outcome], cohort: Cohort, out: Path, console: Console) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    _say(
        console,
        f"{counts['done']} done, {counts['skipped']} done before, {counts['failed']} failed, "
        f"{len(cohort.problems)} left out. Results: {out}",
    )
    if counts["handed back"]:
        _say(console, f"{counts['handed back']} handed back unfinished; the same command goes on with them")
    for outcome in sorted(outcomes, key=lambda o: o.case):
        if outcome.holder is not None:
            _say(console, f"elsewhere: {outcome.case} is at work in run {outcome.holder.run} on {outcome.holder.host}")
        if outcome.failure is not None:
            _say(console, f"failed: {outcome.case} in {outcome.failure.stage or 'the run'}: {outcome.failure.message}")
    for problem in cohort.problems:
        _say(console, f"left out: {problem.name}: {problem.reason}")


def _say(console: Console, line: str) -> None:
    """Print a line as it is: no wrapping in the middle of a path, no markup in a file's name."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
