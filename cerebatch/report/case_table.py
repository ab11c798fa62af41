"""The table of a case for readers: volumes, and bounds where there are norms; TSV, CSV, and the layout of CERES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cerebatch.io.files import separated
from cerebatch.labels import LOBES, STRUCTURES
from cerebatch.measures.volumes import COLUMNS as VOLUME_COLUMNS
from cerebatch.measures.volumes import SIDES, WHOLE
from cerebatch.report.norms import FIGURES, Place
from cerebatch.report.result import Person, Result, Row

Layout = Literal["tidy", "ceres"]

_WORDS = {
    "mean": "Expected for age and sex",
    "lower": "Lower 95% prediction bound for age and sex",
    "upper": "Upper 95% prediction bound for age and sex",
    "z": "Standard normal score",
    "centile": "Per cent of people of this age and sex with less",
}
_STATUS = {
    "inside": "within the bounds",
    "below": "below the lower bound",
    "above": "above the upper bound",
    "not scored": "see norm_note",
}
_DIGITS = {"volume_cm3": 3, "native_count_cm3": 3, "with_folia_cm3": 3, "percent_icv": 4, "asymmetry": 1}
_UNITS = {"volume": "cm3", "percent_icv": "%", "volume_at_reference_icv": "cm3"}


def case_rows(result: Result, places: Mapping[tuple[str, str], Place] | None) -> list[Row]:
    """Rows of the table of volumes, with the columns of the norms behind them.

    Parameters
    ----------
    result : Result
    places : mapping or None
        From `norms.places`.
    """
    columns = list(dict.fromkeys(column for place in (places or {}).values() for column in place))
    rows = []
    for row in result.volumes:
        place = (places or {}).get((row["structure"], row["side"]), {})
        rows.append(_rounded(row) | {column: place.get(column, "n/a") for column in columns})
    return rows


def _rounded(row: Row) -> Row:
    """A row of volumes with the digits that mean something: 1 mm3, and a tenth of a per cent of asymmetry."""
    return {
        column: value if value == "n/a" or column not in _DIGITS else f"{float(value):.{_DIGITS[column]}f}"
        for column, value in row.items()
    }


def data_dictionary(rows: Sequence[Row]) -> dict[str, Any]:
    """What the columns of `case_rows` are."""
    told: dict[str, Any] = {}
    for column in rows[0]:
        start, _, figure = column.rpartition("_")
        if column in VOLUME_COLUMNS:
            told[column] = VOLUME_COLUMNS[column]
        elif figure in FIGURES:
            unit = "1" if figure == "z" else "%" if figure == "centile" else _UNITS[start]
            told[column] = {"Description": f"{_WORDS[figure]}, of {start}", "Units": unit}
        elif figure == "status":
            told[column] = {"Description": f"Where {start} stands to its bounds", "Levels": _STATUS}
        elif figure == "near":
            told[column] = {"Description": "People of the norms within five years of age"}
    if "norm_group" in rows[0]:
        told["norm_group"] = {"Description": "Whose curves: all, female or male"}
        told["norm_note"] = {"Description": "What to know about the comparison; n/a if nothing"}
    return told


def as_csv(rows: Sequence[Row]) -> str:
    """The rows with commas."""
    return separated(rows, ",")


def ceres_row(result: Result, person: Person) -> Row:
    """One line as CERES and DeepCERES lay it out: a column each for cm3 and per cent of the intracranial volume.

    Parameters
    ----------
    result : Result
    person : Person
    """
    row = {
        "Patient ID": result.name,
        "Sex": {"F": "Female", "M": "Male"}.get(person.sex or "", ""),
        "Age": "" if person.age is None else f"{person.age:g}",
        "ICV cm3": f"{float(result.icv['VolumeCM3']):.4f}",
    }
    for structure in (WHOLE, *LOBES, *STRUCTURES):
        name = _ceres_name(structure)
        for side in ("both", *SIDES[:2][::-1]):
            found, word = result.volume(structure, side), "total" if side == "both" else side
            row[f"{name} {word} cm3"] = found["volume_cm3"]
            row[f"{name} {word} %"] = found["percent_icv"]
        row[f"{name} asymmetry"] = result.volume(structure, "both")["asymmetry"]
    return row


def as_ceres(rows: Sequence[Row]) -> str:
    """The lines of `ceres_row` with semicolons."""
    return separated(rows, ";")


def _ceres_name(structure: str) -> str:
    return structure.replace("_", " ").capitalize() if structure in (WHOLE, *LOBES, "White matter") else structure


def csv_text(layout: Layout, result: Result, person: Person, rows: Sequence[Row]) -> str:
    """The CSV of a case in one of the two layouts."""
    return as_ceres([ceres_row(result, person)]) if layout == "ceres" else as_csv(rows)


def csv_path(folder: Path, name: str) -> Path:
    """Where the CSV of a case stands."""
    return folder / f"{name}_volumes.csv"
