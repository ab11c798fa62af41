"""`cerebatch lifespan`: curves of volume against age, and where people stand. The package `lifespan` does the work."""

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

_DECIMALS = "%.6g"

Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="Volumes: of cerebatch (one table, or OUT_DIR of a run), CERES, DeepCERES, FreeSurfer (asegstats2table), "
        "or any with _mm3 or _cm3 in its columns.",
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
VisitPattern = Annotated[
    str | None, typer.Option(help="Regular expression: the part of participant_id that names the visit.")
]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out", help="Leave wrong rows and values out, and say which, instead of refusing.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="model.json that `lifespan fit` wrote, or its folder.")]


@lifespan_app.command()
def fit(
    table: Table,
    out: Annotated[Path, typer.Argument(help="Folder for model.json and its tables.")],
    model: Annotated[
        str, typer.Option(help="paper, or words joined by +: spline, spread, sites, visits, shape, robust, log.")
    ] = "paper",
    icv: Annotated[str, typer.Option(help="Head size taken out by ratio or by power (law), or none.")] = "ratio",
    one_visit: Annotated[bool, typer.Option("--one-visit", help="Of several visits take the earliest.")] = False,
    participants: Participants = None,
    tool: Tool = None,
    icv_method: IcvMethod = None,
    structures: Structures = None,
    unit: Unit = None,
    column: Column = None,
    visit_pattern: VisitPattern = None,
    leave_out: LeaveOut = False,
) -> None:
    """Fit a curve to each structure: all people, women, men; volumes, and with the size of the head taken out.

    Values far from those of people of the same age are told and kept (flags.tsv).
    """
    with _as_ours():
        from lifespan import coefficient_table, flag_table, read_table, save
        from lifespan import fit as fit_model
        from lifespan.fitting import earliest_visits

        reading = _reading(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out)
        people = read_table(table, reading)
        if one_visit:
            people = earliest_visits(people)
        fitted = fit_model(people, model=model, icv=icv)
        with _writable(out):
            out.mkdir(parents=True, exist_ok=True)
            save(fitted, out / "model.json")
            _write(fitted.curve_table(), out / "curves.tsv")
            _write(fitted.decision_table(), out / "decisions.tsv")
            _write(flag_table(fitted, people), out / "flags.tsv")
            _write(coefficient_table(fitted, people), out / "coefficients.tsv")
    _warn(fitted.warnings)
    counts = ", ".join(f"{fitted.counts.people[group]} {group}" for group in fitted.groups)
    print(f"{len(fitted.curves)} curves of {len(fitted.structures)} structures ({counts}; {fitted.choice}): {out}")


@lifespan_app.command()
def score(
    model: Model,
    table: Table,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Answer outside the fitted ages too; such rows are marked.")
    ] = False,
    controls: Annotated[
        Path | None, typer.Option(help="Healthy people of sites that the model does not know: their sites are learnt.")
    ] = None,
    pooled: Annotated[bool, typer.Option("--pooled", help="Curves of all people, not of each sex.")] = False,
    participants: Participants = None,
    tool: Tool = None,
    icv_method: IcvMethod = None,
    structures: Structures = None,
    unit: Unit = None,
    column: Column = None,
    visit_pattern: VisitPattern = None,
    leave_out: LeaveOut = False,
) -> None:
    """Print z, centile, and inside, below or above the bounds, for each person and structure."""
    with _as_ours():
        from lifespan import load_model, read_table
        from lifespan import score as score_people

        fitted = load_model(model)
        reading = _reading(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out)
        people = read_table(table, reading)
        scores = score_people(
            fitted, people, extrapolate=extrapolate, controls=controls, pooled=pooled, reading=reading
        )
    _warn(people.warnings)
    _say_unscored(scores)
    _write(scores, sys.stdout)


@lifespan_app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Volumes, as for `lifespan fit`.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Other volumes of the same people.")],
    participants: Participants = None,
    structures: Structures = None,
    unit: Unit = None,
    column: Column = None,
    visit_pattern: VisitPattern = None,
    leave_out: LeaveOut = False,
    tool: Annotated[str | None, typer.Option(help="What made both, where the tables do not tell.")] = None,
) -> None:
    """Print which structures vary less about their curve in AFTER than in BEFORE (section 3.6, Figure 6).

    Direction, shift and p come from one paired test of the absolute residuals; standard deviations stand beside them.
    """
    with _as_ours():
        from lifespan import compare as compare_tables
        from lifespan import read_table

        reading = _reading(participants, tool, None, structures, unit, column, visit_pattern, leave_out)
        first, second = read_table(before, reading), read_table(after, reading)
        found = compare_tables(first, second)
    _warn([*first.warnings, *second.warnings])
    _write(found, sys.stdout)
    less = found[found["reduced"]]
    print(
        f"{len(less)} of {len(found)} structures vary less in {after}; {int(less['significant'].sum())} of them with "
        f"p < 0.05 uncorrected, {int(less['significant_holm'].sum())} after Holm. More: {len(found) - len(less)}, "
        f"{int((found['significant'] & ~found['reduced']).sum())} and "
        f"{int((found['significant_holm'] & ~found['reduced']).sum())}.",
        file=sys.stderr,
    )


@lifespan_app.command()
def plot(
    model: Model,
    out: Annotated[Path, typer.Argument(help="Folder for the pictures.")],
    table: Annotated[Path | None, typer.Option(help="People to draw as dots, as for `lifespan fit`.")] = None,
    show: Annotated[list[str] | None, typer.Option(help="Only this structure of the model; repeatable.")] = None,
    participants: Participants = None,
    tool: Tool = None,
    icv_method: IcvMethod = None,
    structures: Structures = None,
    unit: Unit = None,
    column: Column = None,
    visit_pattern: VisitPattern = None,
    leave_out: LeaveOut = False,
) -> None:
    """Draw curves, bounds and people: PNG and SVG, and an HTML file that works offline."""
    with _as_ours():
        from lifespan import load_model
        from lifespan import plot as plot_model

        reading = _reading(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out)
        with _writable(out):
            paths = plot_model(load_model(model), out, table, structures=show, reading=reading)
    for path in paths:
        print(path)


def _reading(
    participants: Path | None,
    tool: str | None,
    icv_method: str | None,
    structures: list[str] | None,
    unit: str | None,
    column: str | None,
    visit_pattern: str | None,
    leave_out: bool,
) -> Reading:
    from lifespan import Reading

    stated = {"tool": tool, "icv_method": icv_method}
    return Reading(
        participants=participants,
        structures=tuple(structures) if structures else None,
        unit=unit,
        column=column,
        visit_pattern=visit_pattern,
        leave_out=leave_out,
        **{name: value for name, value in stated.items() if value is not None},
    )


@contextmanager
def _as_ours() -> Iterator[None]:
    """Errors of lifespan, and words it does not know, as errors of cerebatch."""
    from lifespan import LifespanError

    try:
        yield
    except LifespanError as error:
        raise CerebatchError(str(error)) from error
    except ValueError as error:
        raise SettingsError(str(error)) from error


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CerebatchError(f"{folder}: cannot be written ({error.strerror}). Give another folder.") from error


def _write(table: pd.DataFrame, to: object) -> None:
    table.to_csv(to, sep="\t", index=False, na_rep="n/a", float_format=_DECIMALS)  # type: ignore[call-overload]


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _say_unscored(scores: pd.DataFrame) -> None:
    """How many answers are missing or marked, on standard error: a table in a pipe hides them."""
    notes = scores["note"].str.replace(r"[0-9]+ within", "some within", regex=True)
    for note, count in notes[notes != ""].value_counts().items():
        print(f"note: {count} of {len(scores)} rows: {note}", file=sys.stderr)
