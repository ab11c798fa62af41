"""What the commands of `cerebatch lifespan` share: the app, options of tables, and how answers are written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebatch.errors import CerebatchError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from lifespan import Reading

lifespan_app = typer.Typer(no_args_is_help=True, help="Volumes against age: curves, bounds, comparisons.")

DECIMALS = "%.6g"

Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="Volumes: of cerebatch (one table, or OUT_DIR of a run), CERES, DeepCERES, FreeSurfer (asegstats2table, "
        "or SUBJECTS_DIR), or any with _mm3 or _cm3 in its columns.",
    ),
]
Participants = Annotated[
    Path | None, typer.Option(help="Table of participant_id, age, sex, site, where TABLE lacks them.")
]
Tool = Annotated[str | None, typer.Option(help="What made the volumes, where the table does not tell.")]
IcvMethod = Annotated[str | None, typer.Option(help="What made the intracranial volumes, where the table does not.")]
Structures = Annotated[list[str] | None, typer.Option(help="Only this column; repeatable.")]
Unit = Annotated[str | None, typer.Option(help="mm3, cm3 or ml: unit of --structures without one in their names.")]
Column = Annotated[str | None, typer.Option(help="Of a long table with several columns of volumes.")]
Zeros = Annotated[
    list[str] | None, typer.Option(help="A structure whose volume may truly be 0, such as lesions; repeatable.")
]
VisitPattern = Annotated[
    str | None, typer.Option(help="Regular expression: the part of participant_id that names the visit.")
]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out", help="Leave wrong rows and values out, and say which, instead of refusing.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="model.json that `lifespan fit` wrote, or its folder.")]


def reading_of(
    participants: Path | None,
    tool: str | None,
    icv_method: str | None,
    structures: list[str] | None,
    unit: str | None,
    column: str | None,
    visit_pattern: str | None,
    leave_out: bool,
    zeros: list[str] | None,
) -> Reading:
    """The options of a table as `lifespan.Reading`."""
    from lifespan import Reading

    stated = {"tool": tool, "icv_method": icv_method}
    return Reading(
        participants=participants,
        structures=tuple(structures) if structures else None,
        unit=unit,
        column=column,
        visit_pattern=visit_pattern,
        leave_out=leave_out,
        zeros=tuple(zeros or ()),
        **{name: value for name, value in stated.items() if value is not None},
    )


@contextmanager
def as_ours() -> Iterator[None]:
    """Errors of lifespan, and words it does not know, as errors of cerebatch."""
    from lifespan import LifespanError

    try:
        yield
    except LifespanError as error:
        raise CerebatchError(str(error)) from error
    except ValueError as error:
        raise SettingsError(str(error)) from error


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """A folder that cannot be written as an error of cerebatch."""
    try:
        yield
    except OSError as error:
        raise CerebatchError(f"{folder}: cannot be written ({error.strerror}). Give another folder.") from error


def write(table: pd.DataFrame, to: object) -> None:
    """A table, tab-separated, to a file or a stream."""
    table.to_csv(to, sep="\t", index=False, na_rep="n/a", float_format=DECIMALS)  # type: ignore[call-overload]


def warn(warnings: Iterable[str]) -> None:
    """Each warning, on standard error."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
