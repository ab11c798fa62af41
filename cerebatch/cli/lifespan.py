"""`cerebatch lifespan`: curves of volume against age, and where people stand. The package `lifespan` does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebatch.cli import lifespan_study
from cerebatch.cli.lifespan_options import (
    Column,
    IcvMethod,
    LeaveOut,
    Model,
    Participants,
    Structures,
    Table,
    Tool,
    Unit,
    VisitPattern,
    Zeros,
    as_ours,
    lifespan_app,
    reading_of,
    warn,
    writable,
    write,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["lifespan_app", "lifespan_study"]


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
    zeros: Zeros = None,
) -> None:
    """Fit a curve to each structure: all people, women, men; volumes, and with the size of the head taken out.

    Values far from those of people of the same age are told and kept (flags.tsv).
    """
    with as_ours():
        from lifespan import coefficient_table, flag_table, read_table, save
        from lifespan import fit as fit_model
        from lifespan.fitting import earliest_visits

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        people = read_table(table, reading)
        if one_visit:
            people = earliest_visits(people)
        fitted = fit_model(people, model=model, icv=icv)
        with writable(out):
            out.mkdir(parents=True, exist_ok=True)
            save(fitted, out / "model.json")
            write(fitted.curve_table(), out / "curves.tsv")
            write(fitted.decision_table(), out / "decisions.tsv")
            write(flag_table(fitted, people), out / "flags.tsv")
            write(coefficient_table(fitted, people), out / "coefficients.tsv")
    warn(fitted.warnings)
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
    zeros: Zeros = None,
) -> None:
    """Print z, centile, and inside, below or above the bounds, for each person and structure."""
    with as_ours():
        from lifespan import load_model, read_table
        from lifespan import score as score_people

        fitted = load_model(model)
        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        people = read_table(table, reading)
        scores = score_people(
            fitted, people, extrapolate=extrapolate, controls=controls, pooled=pooled, reading=reading
        )
    warn(people.warnings)
    _say_unscored(scores)
    write(scores, sys.stdout)


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
    zeros: Zeros = None,
    tool: Annotated[str | None, typer.Option(help="What made both, where the tables do not tell.")] = None,
) -> None:
    """Print which structures vary less about their curve in AFTER than in BEFORE (section 3.6, Figure 6).

    Direction, shift and p come from one paired test of the absolute residuals; standard deviations stand beside them.
    """
    with as_ours():
        from lifespan import compare as compare_tables
        from lifespan import read_table

        reading = reading_of(participants, tool, None, structures, unit, column, visit_pattern, leave_out, zeros)
        first, second = read_table(before, reading), read_table(after, reading)
        found = compare_tables(first, second)
    warn([*first.warnings, *second.warnings])
    write(found, sys.stdout)
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
    zeros: Zeros = None,
) -> None:
    """Draw curves, bounds and people: PNG and SVG, and an HTML file that works offline."""
    with as_ours():
        from lifespan import load_model
        from lifespan import plot as plot_model

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        with writable(out):
            paths = plot_model(load_model(model), out, table, structures=show, reading=reading)
    for path in paths:
        print(path)


def _say_unscored(scores: pd.DataFrame) -> None:
    """How many answers are missing or marked, on standard error: a table in a pipe hides them."""
    notes = scores["note"].str.replace(r"[0-9]+ within", "some within", regex=True)
    for note, count in notes[notes != ""].value_counts().items():
        print(f"note: {count} of {len(scores)} rows: {note}", file=sys.stderr)
