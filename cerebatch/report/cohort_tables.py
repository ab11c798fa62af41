"""The tables of a cohort: volumes, quality, flags and failures, one reader merging what the cases wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from cerebatch.errors import DatasetError
from cerebatch.io.atomic import write_text
from cerebatch.io.files import write_json
from cerebatch.quality.metric import BOTH, DESCRIPTIONS, WHOLE
from cerebatch.quality.rating import RATINGS
from cerebatch.report.result import Person, Result, Row, read_result

READERS = 8
"""Threads: reading waits for the file server most of the time."""

_CASE = {
    "participant_id": {"Description": "Label of the participant"},
    "session_id": {"Description": "Label of the session; n/a in a dataset without sessions"},
}

VOLUMES: dict[str, Any] = {
    **_CASE,
    "age": {"Description": "Age at this session", "Units": "years"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Site or scanner, from participants.tsv"},
    "method": {"Description": "Where the labels come from"},
    "resolution_mm": {"Description": "Edge of the MNI grid; 4 is a trial", "Units": "mm"},
    "rating": {"Description": "Rating of quality", "Levels": dict(RATINGS)},
    "flags": {"Description": "How many flags that are warnings or problems"},
    "icv_cm3": {"Description": "Intracranial volume", "Units": "cm3"},
}
"""First columns of volumes.tsv."""

FLAGS: dict[str, Any] = {
    **_CASE,
    "flag": {"Description": "Name of the flag"},
    "severity": {"Description": "note, warning or problem"},
    "metric": {"Description": "What was measured"},
    "structure": {"Description": "Lobule or white matter; cerebellum where the whole is meant"},
    "side": {"Description": "left, right or both"},
    "value": {"Description": "In the unit of the metric"},
    "comparison": {"Description": "A value on this side of the threshold is flagged"},
    "threshold": {"Description": "In the unit of the metric"},
    "message": {"Description": "For a reader"},
}

FAILURES: dict[str, Any] = {
    **_CASE,
    "stage": {"Description": "Where the case stopped; n/a if it did not fail"},
    "kind": {"Description": "Class of the error; n/a if it did not fail"},
    "reason": {"Description": "Why the case is not in the other tables"},
}

Table = list[Row]


def read_results(folders: Mapping[str, Path]) -> tuple[list[Result], dict[str, str]]:
    """Read finished cases, and say which cannot be read: they may have changed since they were looked at.

    Parameters
    ----------
    folders : mapping
        Name -> folder that holds ``anat/``.

    Returns
    -------
    results : list of Result
        In the order of the names.
    left_out : dict
        Name -> why.
    """

    def read(item: tuple[str, Path]) -> Result | tuple[str, str]:
        try:
            return read_result(*item)
        except DatasetError as error:
            return item[0], error.reason

    with ThreadPool(READERS) as pool:
        found = pool.map(read, folders.items(), chunksize=16)
    results = [one for one in found if isinstance(one, Result)]
    return results, dict(one for one in found if not isinstance(one, Result))


def volume_rows(results: Sequence[Result], people: Mapping[str, Person]) -> Table:
    """One row a case: who, rating, and the volume of every structure, lobe and the whole in cm3 and per cent of ICV."""
    rows = []
    for result in results:
        person = people.get(result.name, Person())
        row = _case(result.name) | {
            "age": "n/a" if person.age is None else f"{person.age:g}",
            "sex": person.sex or "n/a",
            "site": person.site or "n/a",
            "method": result.method,
            "resolution_mm": f"{result.resolution:g}",
            "rating": str(result.rating["Rating"]),
            "flags": str(sum(flag["Severity"] != "note" for flag in result.rating["Flags"])),
            "icv_cm3": f"{float(result.icv['VolumeCM3']):.2f}",
        }
        for unit, column in (("cm3", "volume_cm3"), ("percent_icv", "percent_icv")):
            row |= {f"{_name(volume)}_{unit}": volume[column] for volume in result.volumes}
        row |= {
            f"{_name(volume)}_asymmetry": volume["asymmetry"] for volume in result.volumes if volume["side"] == BOTH
        }
        rows.append(row)
    return rows


def volume_dictionary(rows: Table) -> dict[str, Any]:
    """Data dictionary of volumes.tsv."""
    told = dict(VOLUMES)
    for column in rows[0] if rows else []:
        if column.endswith("_cm3") and column not in told:
            words = "Volume, voxels of the MNI grid over the determinant of the affine native -> MNI"
            told[column] = {"Description": f"{words}: {column.removesuffix('_cm3').replace('_', ' ')}", "Units": "cm3"}
        elif column.endswith("_percent_icv"):
            name = column.removesuffix("_percent_icv").replace("_", " ")
            told[column] = {"Description": f"Volume in per cent of the intracranial volume: {name}", "Units": "%"}
        elif column.endswith("_asymmetry"):
            name = column.removesuffix("_asymmetry").replace("_", " ")
            told[column] = {"Description": f"100 (right - left) / mean of both: {name}", "Units": "%"}
    return told


def quality_rows(results: Sequence[Result]) -> Table:
    """One row a case: rating, and the metrics of the whole."""
    rows = []
    for result in results:
        row = _case(result.name) | {"rating": str(result.rating["Rating"])}
        found = {(m["metric"], m["side"]): m["value"] for m in result.quality if m["structure"] == WHOLE}
        for metric in DESCRIPTIONS:
            for side in (BOTH, "left", "right"):
                if (metric, side) in found:
                    row[metric if side == BOTH else f"{metric}_{side}"] = found[metric, side]
        rows.append(row)
    return rows


def quality_dictionary(rows: Table) -> dict[str, Any]:
    """Data dictionary of quality.tsv."""
    told: dict[str, Any] = {**_CASE, "rating": VOLUMES["rating"]}
    for column in rows[0] if rows else []:
        metric = column.removesuffix("_left").removesuffix("_right")
        if metric in DESCRIPTIONS:
            words, unit = DESCRIPTIONS[metric]
            told[column] = {"Description": words, "Units": unit}
    return told


def flag_rows(results: Sequence[Result]) -> Table:
    """One row a flag, the gravest of each case first."""
    return [
        _case(result.name) | {key.lower(): f"{flag[key]}" for key in _FLAG_KEYS}
        for result in results
        for flag in result.rating["Flags"]
    ]


_FLAG_KEYS = ("Flag", "Severity", "Metric", "Structure", "Side", "Value", "Comparison", "Threshold", "Message")


def write_table(path: Path, rows: Table, dictionary: Mapping[str, Any]) -> None:
    """Write a TSV and its data dictionary, each all at once; a table without rows has its header.

    Parameters
    ----------
    path : Path
        ``.tsv``.
    rows : list of dict
    dictionary : mapping
        Column -> what it is.
    """
    columns = list(rows[0]) if rows else list(dictionary)
    lines = ["\t".join(columns), *("\t".join(_cell(row[column]) for column in columns) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")
    write_json(path.with_suffix(".json"), dictionary)


def _case(name: str) -> Row:
    participant, _, session = name.partition("_ses-")
    return {"participant_id": participant, "session_id": f"ses-{session}" if session else "n/a"}


def failure_rows(unfinished: Mapping[str, str], stages: Mapping[str, tuple[str, str]]) -> Table:
    """One row a case that is not in the other tables.

    Parameters
    ----------
    unfinished : mapping
        Name -> why.
    stages : mapping
        Name of a case that failed -> stage and kind.
    """
    return [
        _case(name) | dict(zip(("stage", "kind"), stages.get(name, ("n/a", "n/a")), strict=True)) | {"reason": reason}
        for name, reason in unfinished.items()
    ]


def _name(volume: Row) -> str:
    return f"{volume['side']}_{volume['structure'].replace(' ', '_')}"


def _cell(text: str) -> str:
    """No tab or line break inside a cell."""
    return " ".join(text.split()) if any(mark in text for mark in "\t\r\n") else text
