"""The command line: parse, call one function, print. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from cerebatch.cli.augment import augment_app
from cerebatch.cli.evaluate import evaluate
from cerebatch.cli.extras import explained
from cerebatch.cli.library import library_app
from cerebatch.cli.lifespan import lifespan_app
from cerebatch.cli.options import COULD_NOT_RUN, say
from cerebatch.cli.pages import labels
from cerebatch.cli.profile import profile_app
from cerebatch.cli.run import run
from cerebatch.cli.segment import segment
from cerebatch.cli.simulate import simulate
from cerebatch.cli.status import status
from cerebatch.cli.train import train
from cerebatch.errors import CerebatchError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)
app.add_typer(library_app, name="library")
app.add_typer(profile_app, name="profile")
app.add_typer(lifespan_app, name="lifespan")
app.add_typer(augment_app, name="augment")


def main() -> None:
    """Entry point: errors that a user can mend are one message and exit status 2."""
    try:
        app()
    except CerebatchError as error:
        _refuse(error)
    except ModuleNotFoundError as error:
        if (explanation := explained(error)) is None:
            raise
        _refuse(explanation)


def _refuse(error: CerebatchError) -> NoReturn:
    say(Console(stderr=True), f"cerebatch: {error}")
    sys.exit(COULD_NOT_RUN)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Cerebellar lobule segmentation and volumetry for whole cohorts."""
    if version:
        from cerebatch import __version__

        print(__version__)
        raise typer.Exit


app.command()(segment)
app.command()(run)
app.command()(train)
app.command()(status)
app.command()(evaluate)
app.command()(simulate)
app.command()(labels)


@app.command()
def volumes(dseg: Annotated[Path, typer.Argument(help="Label map in cerebatch codes, native or MNI.")]) -> None:
    """Count an existing label map again; the table goes to standard output."""
    from cerebatch.io.labelmaps import read_dseg
    from cerebatch.measures.volumes import COLUMNS, counted_cm3, table

    voxels, grid = read_dseg(dseg)
    found = counted_cm3(voxels, grid.voxel_volume_mm3)
    print("\t".join(COLUMNS))
    for row in table(None, found, None):
        print("\t".join(row.as_text().values()))


@app.command()
def template(
    out_bids: Annotated[Path, typer.Argument(help="Folder of the dataset; must not hold one already.")],
) -> None:
    """Write the MNI152 template as a BIDS dataset of one person: a real T1w that needs no download."""
    from cerebatch.io.template_dataset import write_dataset

    print(f"wrote {write_dataset(out_bids)}")
