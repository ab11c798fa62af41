"""`cerebatch lifespan check`, `change`, `groups`, `harmonise`: what a population study asks next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

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


@lifespan_app.command()
def check(
    table: Table,
    out: Annotated[Path, typer.Argument(help="Folder for tables and pictures.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Words as for `lifespan fit`; repeatable. By default those that sites and visits allow."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the people, each predicted by a fit to the others.")] = 5,
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
    """Ask which model holds for people it has not seen: log score, coverage by age and site, quantiles, tails.

    Writes models.tsv, calibration.tsv, check.png and check.svg, and prints a recommendation.
    """
    with as_ours():
        from lifespan import check as check_models
        from lifespan import plot_check, read_table

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        people = read_table(table, reading)
        found = check_models(people, models=model, folds=folds)
        with writable(out):
            plot_check(found, out)
            write(found.models, out / "models.tsv")
            write(found.bins, out / "calibration.tsv")
    warn(people.warnings)
    for sentence in found.recommendation:
        print(sentence)


@lifespan_app.command()
def change(
    model: Model,
    table: Table,
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
    """Print, for people with several visits, whether each later one differs from the first by more than is usual.

    MODEL must have been fitted with visits: how alike two visits are is learnt from its people's repeats.
    """
    with as_ours():
        from lifespan import change as change_of
        from lifespan import load_model, read_table

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        people = read_table(table, reading)
        found = change_of(load_model(model), people, pooled=pooled)
    warn(people.warnings)
    known = found.loc[found["in_fit"], "participant_id"].nunique()
    if known:
        warn([f"{known} people have the name of somebody who was in the fit: bounds know them already (column in_fit)"])
    write(found, sys.stdout)


@lifespan_app.command()
def groups(
    table: Table,
    out: Annotated[Path, typer.Argument(help="Folder for groups.tsv and pictures.")],
    by: Annotated[str, typer.Option(help="Column that tells who is a patient.")],
    controls: Annotated[str, typer.Option(help="What stands there for controls.")],
    patients: Annotated[
        str | None, typer.Option(help="And for patients; by default everybody else with a word.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="model.json: compare z, in which age and sex are taken out already.")
    ] = None,
    covariate: Annotated[
        list[str] | None, typer.Option(help="age, sex, icv, site, or a column; repeatable. By default age and sex.")
    ] = None,
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
    """Compare patients with controls: adjusted differences, effect sizes with intervals, FDR and Holm, a figure."""
    with as_ours():
        from lifespan import compare_groups, load_model, plot_effects

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        found = compare_groups(
            table,
            by,
            controls=controls,
            patients=patients,
            model=None if model is None else load_model(model),
            covariates=covariate or ("age", "sex"),
            reading=reading,
        )
        with writable(out):
            plot_effects(found, out)
            write(found, out / "groups.tsv")
    print(
        f"{int(found['significant'].sum())} of {len(found)} differ with a false discovery rate of 5%, "
        f"{int(found['significant_holm'].sum())} after Holm: {out}"
    )


@lifespan_app.command()
def harmonise(
    model: Model,
    table: Table,
    controls: Annotated[
        Path | None, typer.Option(help="Healthy people of sites that the model does not know: their sites are learnt.")
    ] = None,
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
    """Print the table's volumes as a site without shift would have given them; MODEL was fitted with sites."""
    with as_ours():
        from lifespan import harmonise as harmonised
        from lifespan import load_model, read_table

        reading = reading_of(participants, tool, icv_method, structures, unit, column, visit_pattern, leave_out, zeros)
        people = read_table(table, reading)
        found = harmonised(load_model(model), people, controls=controls, reading=reading)
    warn(people.warnings)
    write(found, sys.stdout)
