"""The command line: parse, call one function, print. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cerebatch.cli_evaluate import evaluate
from cerebatch.cli_lifespan import lifespan_app
from cerebatch.cli_pages import labels
from cerebatch.cli_profile import profile_app
from cerebatch.cli_run import run
from cerebatch.cli_status import status
from cerebatch.cli_train import train
from cerebatch.cli_words import COULD_NOT_RUN, SOME_FAILED, Resolution, say
from cerebatch.errors import CerebatchError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)
library_app = typer.Typer(no_args_is_help=True, help="Labelled cases.")
app.add_typer(library_app, name="library")
app.add_typer(profile_app, name="profile")
app.add_typer(lifespan_app, name="lifespan")


def main() -> None:
    """Entry point: errors that a user can mend are one message and exit status 2."""
    try:
        app()
    except CerebatchError as error:
        say(Console(stderr=True), f"cerebatch: {error}")
        sys.exit(COULD_NOT_RUN)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Cerebellar lobule segmentation and volumetry for whole cohorts."""
    if version:
        from cerebatch import __version__

        print(__version__)
        raise typer.Exit


app.command()(run)
app.command()(train)
app.command()(status)
app.command()(evaluate)
app.command()(labels)


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
