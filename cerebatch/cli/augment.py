"""`cerebatch augment`: make an augmentation set, its atlas channel, read it back, export it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from cerebatch.cli.options import SOME_FAILED, Registrar, helper_weights_if, say
from cerebatch.cli.outcomes import all_done, print_counts, print_unfinished
from cerebatch.errors import InputError, SettingsError

if TYPE_CHECKING:
    pass

_MAKE = "make"


class _MakeUnlessNamed(TyperGroup):
    """``augment LIBRARY TARGETS OUT.zarr`` means ``augment make ...``: what is no command of the group is an argument.

    A library in a folder that is called like a command is given as ``./verify``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


class Layout(StrEnum):
    """Whose layout an export has."""

    nnunet = "nnunet"


augment_app = typer.Typer(
    cls=_MakeUnlessNamed,
    no_args_is_help=True,
    help="Labelled cases in the shape of other people: cerebatch augment LIBRARY TARGETS OUT.zarr",
)

_Profile = Annotated[str, typer.Option(help="Where to run: see `cerebatch profile list`, or a YAML file.")]
_Work = Annotated[Path | None, typer.Option(help="Folder of intermediate files. [default: beside the set]")]
_Retry = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed with the same inputs.")]
_Votes = Annotated[int, typer.Option(min=1, help="How many cases vote for each atlas.")]


@augment_app.command(_MAKE)
def make(
    library: Annotated[Path, typer.Argument(help="Library of labelled cases; gives the resolution.")],
    targets: Annotated[Path, typer.Argument(help="BIDS dataset, or the output folder of `cerebatch run`.")],
    out: Annotated[Path, typer.Argument(help="Set to make, .zarr; an unfinished one is resumed.")],
    profile: _Profile = "local",
    work: _Work = None,
    keep_work: Annotated[bool, typer.Option(help="Keep prepared scans.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    atlas_cases: Annotated[
        int, typer.Option(min=0, help="Make the atlas channel too, of so many cases each; 0: later or never.")
    ] = 0,
    keep_set_aside: Annotated[
        bool, typer.Option("--keep-set-aside", help="Store the voxels of cases that are set aside, too.")
    ] = False,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(help="A person or head of the library whose cases are not bent; may be given again."),
    ] = None,
    registration: Annotated[Registrar, typer.Option(help="What brings a case to a target.")] = Registrar.greedy,
    auxiliary_weights: Annotated[
        Path | None, typer.Option(help="Folder with weights of the registration network. [default: those of cerebatch]")
    ] = None,
    retry_failed: _Retry = False,
) -> None:
    """Bend for each target the most similar labelled case onto it (the command that `augment` means by itself)."""
    from cerebatch.augment.make import jobs_of
    from cerebatch.augment.make import make as make_set
    from cerebatch.augment.targets import find_targets
    from cerebatch.batch.cluster.profile import load_profile
    from cerebatch.batch.reporting.display import progress
    from cerebatch.library.store import open_library

    place, cases = load_profile(profile), open_library(library)
    if out.suffix != ".zarr":
        raise SettingsError(f"{out}: expected a name that ends in .zarr.")
    found = find_targets(targets.resolve(), cases.resolution)
    console = Console()
    for warning in found.warnings:
        say(console, f"warning: {warning}")
    if not found.found:
        raise InputError(
            targets,
            expected="scans that can be targets",
            found=f"none; {found.problems[0].name}: {found.problems[0].reason}" if found.problems else "none",
            do="Give a BIDS dataset with T1w images.",
        )
    jobs = jobs_of(
        cases, found, out.resolve(), seed=seed, work=work.resolve() if work else None, keep_work=keep_work,
        keep_set_aside=keep_set_aside, hold_out=hold_out or (),
        registration=helper_weights_if("registration", registration is Registrar.network, auxiliary_weights),
    )  # fmt: skip
    with progress(len(jobs), list(jobs[0].needs()), console) as tell:
        left_out = {problem.name: problem.reason for problem in found.problems}
        made = make_set(
            jobs, cases, place, tell, profile_name=profile, left_out=left_out, retry_failed=retry_failed
        )  # fmt: skip
    print_counts(made.outcomes, console)
    print_unfinished(made.outcomes, found.problems, console)
    some_failed = bool(found.problems) or not all_done(made.outcomes)
    if made.digest:
        _tell_set(out, console)
        if atlas_cases:
            atlas(out, library, profile, work, atlas_cases, retry_failed)
    if some_failed:
        raise typer.Exit(SOME_FAILED)


@augment_app.command()
def atlas(
    out: Annotated[Path, typer.Argument(help="A finished set.")],
    library: Annotated[Path, typer.Argument(help="The library that it was made from.")],
    profile: _Profile = "local",
    work: _Work = None,
    atlas_cases: _Votes = 20,
    retry_failed: _Retry = False,
) -> None:
    """Make the atlas channel: each is voted by cases that share neither person, twin nor head with its source."""
    from cerebatch.augment.atlas_pass import cost, jobs_of, make_atlases
    from cerebatch.batch.cluster.profile import load_profile
    from cerebatch.batch.reporting.display import progress
    from cerebatch.library.augmented.store import open_augmented
    from cerebatch.library.store import open_library

    place, cases, store = load_profile(profile), open_library(library), open_augmented(out.resolve())
    console = Console()
    if not store.usable:
        raise InputError(out, expected="usable cases", found="none", do="See why they were set aside.")
    say(console, f"atlases: {cost(store, cases, atlas_cases)}")
    jobs = jobs_of(store, cases, atlas_cases, work=work.resolve() if work else None)
    with progress(len(jobs), list(jobs[0].needs()), console) as tell:
        outcomes = make_atlases(jobs, place, tell, profile_name=profile, retry_failed=retry_failed)
    print_counts(outcomes, console)
    print_unfinished(outcomes, (), console)
    if not all_done(outcomes):
        raise typer.Exit(SOME_FAILED)


@augment_app.command()
def verify(out: Annotated[Path, typer.Argument(help="A finished set.")]) -> None:
    """Read every case back and tell what is wrong with it; exit status 1 if anything is."""
    from cerebatch.augment.verify import verify as find_problems

    problems = find_problems(out)
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(SOME_FAILED)
    _tell_set(out, Console())
    print("every usable case is as it was written")


@augment_app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A finished set.")],
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    layout: Annotated[Layout, typer.Option(help="Whose layout.")] = Layout.nnunet,
    folds: Annotated[int, typer.Option(min=0, help="Write so many folds without a person in two; 0: none.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds.")] = 1,
) -> None:
    """Write a set for another program."""
    from cerebatch.augment.nnunet import export as export_nnunet
    from cerebatch.library.augmented.splits import folds as divide
    from cerebatch.library.augmented.splits import people_of_set
    from cerebatch.library.augmented.store import open_augmented

    store = open_augmented(out)
    assert layout is Layout.nnunet
    splits = None
    if folds:
        try:
            splits = divide(people_of_set(store), folds, seed)
        except ValueError as error:
            raise SettingsError(f"--folds {folds}: {error}") from error
        for number, split in enumerate(splits):
            print(
                f"fold {number}: {len(split.train)} train, {len(split.test)} validate, {len(split.left_out)} left out"
            )
    print(f"wrote {export_nnunet(store, folder, folds=splits)} cases to {folder}")


def _tell_set(out: Path, console: Console) -> None:
    from cerebatch.augment.verify import summary
    from cerebatch.library.augmented.layout import SET_ASIDE
    from cerebatch.library.augmented.store import open_augmented

    store = open_augmented(out)
    for name, status, reason in zip(store.names, store.columns["status"], store.columns["reason"], strict=True):
        if status == SET_ASIDE:
            say(console, f"set aside: {name}: {reason}")
    say(console, f"{out}: " + ", ".join(f"{count} {status}" for status, count in summary(out).items()))
