"""Where a person stands: the package `lifespan` compares the volumes of a case with a fitted model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebatch.errors import CerebatchError
from cerebatch.report.result import Person, Result

if TYPE_CHECKING:
    from lifespan import LifespanModel

PREFIX = {"absolute": "volume", "percent_icv": "percent_icv", "power_icv": "volume_at_reference_icv"}
"""Measure of lifespan -> beginning of the columns of a case."""

FIGURES = ("mean", "lower", "upper", "z", "centile")
_DECIMALS = {"z": 2, "centile": 1}

Place = dict[str, str]
"""Column -> text, for one structure and side."""


@lru_cache(maxsize=2)
def read_norms(path: Path) -> LifespanModel:
    """A model of `cerebatch lifespan fit`.

    Parameters
    ----------
    path : Path
        ``model.json`` or its folder.

    Raises
    ------
    CerebatchError
        It cannot be read.
    """
    from lifespan import LifespanError, load_model

    try:
        return load_model(path)
    except LifespanError as error:
        raise CerebatchError(str(error)) from error


def describe(model: LifespanModel) -> dict[str, Any]:
    """What a page says of the model."""
    return {
        "Model": str(model.choice),
        "Tool": model.tool,
        "People": model.counts.people["all"],
        "Source": Path(model.source).name,
    }


def why_not(person: Person) -> str:
    """Why a person cannot be compared; empty if they can."""
    return "" if person.age is not None else "The age is not known, so the case was not compared with the norms."


def places(model: LifespanModel, result: Result, person: Person) -> dict[tuple[str, str], Place]:
    """Bounds, z, centile and status of every structure.

    Parameters
    ----------
    model : LifespanModel
    result : Result
    person : Person
        With an age.

    Returns
    -------
    places : dict
        (structure, side) -> columns as text.

    Raises
    ------
    CerebatchError
        The model is not for these volumes: another tool, method or structures.
    """
    import pandas as pd

    from lifespan import LifespanError, Reading, read_table, score
    from lifespan.tables.long import own_tool

    participant, _, session = result.name.partition("_ses-")
    table = pd.DataFrame(result.volumes).assign(
        participant_id=participant, session=session, age=f"{person.age}", sex=person.sex or "", site=person.site
    )
    reading = Reading(tool=own_tool(result.method, None), icv_method=str(result.icv["Method"]))
    try:
        scores = score(model, read_table(table, reading))
    except LifespanError as error:
        raise CerebatchError(f"{result.name}, compared with the norms: {error}") from error
    found: dict[tuple[str, str], Place] = {}
    for row in scores.to_dict("records"):
        side, _, structure = str(row["structure"]).partition(" ")
        start = PREFIX[str(row["measure"])]
        place = found.setdefault((structure, side), {})
        for figure in FIGURES:
            value = float(row[figure])
            decimals = _DECIMALS.get(figure, 4 if start == "percent_icv" else 3)
            place[f"{start}_{figure}"] = "n/a" if pd.isna(value) else f"{value:.{decimals}f}"
        place[f"{start}_status"] = str(row["status"])
        place[f"{start}_people_near"] = str(row["people_near"])
        place["norm_group"], place["norm_note"] = str(row["group"]), str(row["note"]) or "n/a"
    return found
