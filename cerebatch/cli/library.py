"""`cerebatch library`: build, label, import, look at and verify labelled cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cerebatch.cli.options import SOME_FAILED, Resolution

library_app = typer.Typer(no_args_is_help=True, help="Labelled cases.")


@library_app.command()
def build(
    out: Annotated[Path, typer.Argument(help="Library to make, .zarr; an unfinished one is resumed.")],
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
    from cerebatch.batch.cluster.profile import usable_cores
    from cerebatch.building.build import Plan, label_maps
    from cerebatch.building.build import build as build_library

    plan = Plan(label_maps(lobules), label_maps(heads), scans, cases, float(resolution.value), seed)
    build_library(out, plan, processes=processes or usable_cores(), tell=lambda line: print(line, flush=True))
    info(out)


@library_app.command()
def label(
    scans: Annotated[Path, typer.Argument(help="BIDS dataset.")],
    library: Annotated[Path, typer.Argument(help="Finished library, whose cases label the scans.")],
    drafts: Annotated[Path, typer.Argument(help="Folder of the drafts; what is there already is kept.")],
    weights: Annotated[Path | None, typer.Option(help="Networks that label, with the atlas as a channel.")] = None,
    participant_label: Annotated[list[str] | None, typer.Option(help="People to label. [default: all]")] = None,
    resolution: Annotated[Resolution, typer.Option(help="Edge of the MNI grid in mm.")] = Resolution.one,
    processes: Annotated[int | None, typer.Option(min=1, help="Scans at a time. [default: cores]")] = None,
) -> None:
    """Give scans their first labels, corrected by what the images show; then correct them by hand."""
    from cerebatch.batch.cluster.profile import usable_cores
    from cerebatch.io.bids import find_cases
    from cerebatch.labelling.drafts import Method, label_scans
    from cerebatch.library.store import open_library

    cohort = find_cases(scans, participants=participant_label or [])
    method = Method(library, weights, open_library(library).resolution)
    failed = len(cohort.problems)
    for problem in cohort.problems:
        print(f"{problem.name}: not done: {problem.reason}")
    done = label_scans(
        cohort.cases, method, drafts, resolution=float(resolution.value), processes=processes or usable_cores()
    )
    for name, said in done:
        failed += said.startswith("not done")
        print(f"{name}: {said}", flush=True)
    if failed:
        raise typer.Exit(SOME_FAILED)


@library_app.command(name="import")
def import_(
    drafts: Annotated[Path, typer.Argument(help="Folder that `library label` wrote, corrected by hand or not.")],
    out: Annotated[Path, typer.Argument(help="Library to make, .zarr.")],
    licence: Annotated[str, typer.Option(help="Of the scans; it is kept with the library.")],
) -> None:
    """Read corrected labels back into a library of their own, each case with its history and its mirrored twin."""
    from cerebatch.labelling.drafts import import_drafts

    for line in import_drafts(drafts, out, licence=licence):
        print(line, flush=True)
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
    from cerebatch.building.place import place as place_map
    from cerebatch.building.place import write_case

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
