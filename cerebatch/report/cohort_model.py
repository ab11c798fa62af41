"""Curves of a cohort: fitted by `lifespan` from the merged volumes, if there are enough people with ages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cerebatch.io.atomic import written_whole
from cerebatch.report.result import Person, Result

if TYPE_CHECKING:
    from lifespan import LifespanModel

ENOUGH = 60
"""People with ages. The largest candidate curve has six parameters: ten people for each."""

_STEP_YEARS = 1.0


def fit_cohort(results: Sequence[Result], people: Mapping[str, Person]) -> tuple[LifespanModel | None, str]:
    """Fit the paper's curves to people with ages; of several sessions the earliest counts.

    Parameters
    ----------
    results : sequence of Result
    people : mapping
        Name of a case -> person.

    Returns
    -------
    model : LifespanModel or None
    words : str
        What was fitted, or why nothing was.
    """
    import pandas as pd

    from lifespan import LifespanError, Reading, fit, read_table
    from lifespan.fitting import earliest_visits
    from lifespan.tables.long import own_tool

    known = [result for result in results if people[result.name].age is not None]
    persons = {result.name.partition("_ses-")[0] for result in known}
    if len(persons) < ENOUGH:
        return None, (
            f"No curves were fitted: {len(persons)} people have an age, and at least {ENOUGH} are needed, ten for each "
            "parameter of the largest curve."
        )
    kinds = sorted({(result.method, result.resolution, str(result.icv["Method"])) for result in known})
    if len(kinds) > 1:
        told = ", ".join(f"{method} at {mm:g} mm, ICV by {icv}" for method, mm, icv in kinds)
        return None, f"No curves were fitted: volumes of several kinds lie here ({told}), and they must not be mixed."
    parts = []
    for result in known:
        person, (participant, _, session) = people[result.name], result.name.partition("_ses-")
        parts.append(
            pd.DataFrame(result.volumes).assign(
                participant_id=participant, session=session, age=f"{person.age}", sex=person.sex or "", site=person.site
            )
        )
    reading = Reading(tool=own_tool(kinds[0][0], None), icv_method=str(known[0].icv["Method"]), leave_out=True)
    try:
        table = earliest_visits(read_table(pd.concat(parts, ignore_index=True), reading))
        model = fit(table)
    except LifespanError as error:
        return None, f"No curves were fitted: {error}"
    trial = " A trial: these volumes measure nothing." if kinds[0][1] == 4.0 else ""
    return model, f"Curves of {len(persons)} people of this cohort ({model.choice}).{trial}"


def save_cohort(model: LifespanModel, folder: Path) -> None:
    """Write model and tables as `cerebatch lifespan fit` does, each all at once.

    Parameters
    ----------
    model : LifespanModel
    folder : Path
        Made where missing.
    """
    from lifespan import save

    for name, table in (("curves", model.curve_table(_STEP_YEARS)), ("decisions", model.decision_table())):
        with written_whole(folder / f"{name}.tsv") as unfinished:
            table.to_csv(unfinished, sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    with written_whole(folder / "model.json") as unfinished:
        save(model, unfinished)
