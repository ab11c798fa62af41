"""Ages, sexes and sites from a second table, such as participants.tsv of a BIDS dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from lifespan.errors import TableError
from lifespan.tables.load import listed, load
from lifespan.tables.raw import AGE, AGE_MONTHS, PERSON, SESSION, SEX, SITE, RawTable, find_column


def join_participants(raw: RawTable, path: Path) -> RawTable:
    """Add the columns age, sex and site that a table of volumes lacks.

    People are found by participant_id, with or without ``sub-``, and by session where both tables have one.

    Raises
    ------
    TableError
        No participant_id in one of them, someone twice, or nobody in common.
    """
    other, lines = load(path)
    left, right = find_column(list(raw.cells.columns), PERSON), find_column(list(other.columns), PERSON)
    if left is None or right is None:
        raise TableError(
            raw.source if left is None else path,
            expected="a column participant_id",
            found=f"the columns {listed([str(c) for c in (raw.cells if left is None else other).columns], 12)}",
            do="Name the column of people participant_id.",
        )
    sessions = find_column(list(raw.cells.columns), SESSION), find_column(list(other.columns), SESSION)
    by_session = all(sessions) and bool((other[sessions[1]] != "").any())
    mine = _keys(raw.cells, left, sessions[0] if by_session else None)
    theirs = _keys(other, right, sessions[1] if by_session else None)
    place: dict[tuple[str, str], int] = {}
    twice = []
    for k, key in enumerate(theirs):
        if key in place:
            twice.append(f"{lines[k]} ({' '.join(key).strip()})")
        place[key] = k
    if twice:
        raise TableError(path, expected="each person once", found=listed(twice), do="Keep one row of each.")
    if not any(key in place for key in mine):
        raise TableError(
            path,
            expected=f"people of {raw.source}, such as {mine[0][0]}",
            found=f"others, such as {theirs[0][0]}",
            do="Give the table of the same people.",
        )
    cells = raw.cells.copy()
    ages = AGE if find_column([*map(str, other.columns), *cells.columns], AGE) else AGE_MONTHS
    for name, names in (("age" if ages is AGE else "age_months", ages), ("sex", SEX), ("site", SITE)):
        column = find_column(list(other.columns), names)
        if column is not None and find_column(list(cells.columns), names) is None:
            cells[name] = [other[column].iloc[place[key]] if key in place else "" for key in mine]
    return replace(raw, cells=cells)


def _keys(cells: pd.DataFrame, person: str, session: str | None) -> list[tuple[str, str]]:
    people = [str(value).removeprefix("sub-") for value in cells[person]]
    visits = [str(value).removeprefix("ses-") for value in cells[session]] if session else [""] * len(people)
    return list(zip(people, visits, strict=True))
