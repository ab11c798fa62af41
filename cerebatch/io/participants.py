"""Ages and sexes from the tables of a BIDS dataset: participants.tsv and sub-*_sessions.tsv."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from pathlib import Path

from cerebatch.errors import DatasetError

OLDEST = 120.0
"""Ages in years above this are taken for another unit."""

SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
MISSING = ("", "n/a", "na", "nan")

Row = dict[str, str]
"""Column, in small letters -> text."""


def read_participants(root: Path) -> tuple[dict[str, Row], list[str]]:
    """Read participants.tsv.

    Parameters
    ----------
    root : Path
        Root of the dataset.

    Returns
    -------
    rows : dict
        Label without ``sub-`` -> row; empty where there is no table.
    warnings : list of str

    Raises
    ------
    DatasetError
        The table cannot be read or has no column ``participant_id``.
    """
    path = root / "participants.tsv"
    if not path.is_file():
        return {}, [f"{root} has no participants.tsv; ages and sexes are unknown."]
    return _read_table(path, "participant_id", "sub")


def read_session(folder: Path, session: str) -> tuple[Row, list[str]]:
    """Read the row of one session in sub-*_sessions.tsv; a broken table is warned of and not used.

    Parameters
    ----------
    folder : Path
        Folder of the participant, ``sub-*``.
    session : str
        Label without ``ses-``.

    Returns
    -------
    row : dict
        Empty where the table or its row is missing.
    warnings : list of str
    """
    path = folder / f"{folder.name}_sessions.tsv"
    if not path.is_file():
        return {}, []
    try:
        rows, warnings = _read_table(path, "session_id", "ses")
    except DatasetError as error:
        return {}, [f"{path.name} is not used: {error.reason}"]
    return rows.get(session, {}), warnings


def parse_age(*texts: str) -> tuple[float | None, list[str]]:
    """The first age of several that is given, in years; a warning where it is none."""
    for text in texts:
        if text.lower() in MISSING:
            continue
        try:
            age = float(text)
        except ValueError:
            age = math.nan
        if 0 <= age <= OLDEST:
            return age, []
        return None, [f"Age {text!r} is no number of years from 0 to {OLDEST:g}; it counts as unknown."]
    return None, []


def parse_sex(text: str) -> tuple[str | None, list[str]]:
    """The sex, "F" or "M", in one of its spellings; a warning where it is none."""
    if text.lower() in MISSING or text.lower() in SEXES:
        return SEXES.get(text.lower()), []
    return None, [f"Sex {text!r} is none of M, F, male, female; it counts as unknown."]


def natural(text: str) -> list[str | int]:
    """Sort key for labels and file names that counts: sub-2 before sub-10."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", text))]


def _read_table(path: Path, key: str, prefix: str) -> tuple[dict[str, Row], list[str]]:
    """Rows of a BIDS table by label; of several rows for one label the first counts, with a warning."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.reader(file, delimiter="\t"))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        do = "Save it as tab-separated text in UTF-8."
        raise DatasetError(path, expected="a table", found=f"an unreadable one ({error})", do=do) from error
    columns = [column.strip().lower() for column in table[0]] if table else []
    if key not in columns:
        raise DatasetError(
            path,
            expected=f"a tab-separated table with a column {key}",
            found=f"the columns {', '.join(columns) or '(none)'}",
            do=f"Name the column of labels {key}, and separate columns by tabs.",
        )
    rows = [dict(zip(columns, (value.strip() for value in line), strict=False)) for line in table[1:]]
    labels = [row.get(key, "").removeprefix(f"{prefix}-") for row in rows]
    repeated = sorted((label for label, count in Counter(labels).items() if label and count > 1), key=natural)
    warnings = [f"{path.name} lists {label} more than once; the first row is used." for label in repeated]
    return dict(zip(reversed(labels), reversed(rows), strict=True)), warnings
