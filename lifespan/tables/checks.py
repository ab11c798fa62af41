"""From text cells to people: every value is looked at, and what is wrong is told by row."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lifespan.arrays import Floats
from lifespan.errors import TableError
from lifespan.people import NOT_STATED, People
from lifespan.tables.findings import Findings
from lifespan.tables.load import listed
from lifespan.tables.raw import AGE, AGE_MONTHS, PERSON, SESSION, SEX, SITE, TOOL, RawTable, find_column, is_missing

OLDEST = 120.0
"""Ages in years above this are taken for another unit."""

SEXES = {"f": "F", "female": "F", "w": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}

_SAME_UNIT = 100.0
"""A value so many times above or below the median of its column is in another unit."""

_VISIT = re.compile(r"^(?P<person>.+?)[_-](?P<visit>(MR|ses|visit|run|tp|v|t)-?[0-9]+)$", re.IGNORECASE)
_COMMA = re.compile(r"^[0-9]{1,3},[0-9]+$")
_MONTHS = 12.0
_LARGEST_MEDIAN_CM3 = 3000.0


def check(
    raw: RawTable,
    *,
    tool: str = NOT_STATED,
    icv_method: str = NOT_STATED,
    leave_out: bool = False,
    visit_pattern: str | None = None,
    zeros: Sequence[str] = (),
) -> People:
    """Look at every value of a table.

    Missing ages take a row out, missing sexes take it out of female and male, missing volumes out of one structure,
    each with a warning. Wrong values refuse the table, all at once, unless `leave_out` is set.

    Parameters
    ----------
    raw : RawTable
    tool, icv_method : str
        What the user says; contradictions are refused.
    leave_out : bool
        Take wrong rows and values out, with a warning, instead of refusing the table.
    visit_pattern : str, optional
        Regular expression with one group: the part of participant_id that names the visit, such as "_MR([0-9]+)$".
    zeros : sequence of str
        Structures, or their columns, whose volume may truly be 0.

    Raises
    ------
    TableError
        With file, rows and columns.
    """
    found = Findings(raw, leave_out, np.ones(len(raw.rows), dtype=np.bool_), warnings=list(raw.warnings))
    columns = list(raw.cells.columns)
    ids, sessions = _people(found, visit_pattern)
    age = _ages(found)
    sex = _sexes(found)
    site_column = find_column(columns, SITE)
    site = ["" if is_missing(text) else text for text in raw.cells[site_column]] if site_column else [""] * len(ids)
    icv = _numbers(found, raw.icv.name, raw.icv.per_cm3) if raw.icv else np.full(len(ids), np.nan)
    absent = set(zeros) - {name for key, column in raw.structures.items() for name in (key, column.name)}
    if absent:
        expected, there = f"structures of --zeros, {listed(sorted(absent))}", listed(list(raw.structures), 12)
        raise TableError(raw.source, expected=expected, found=there, do="Name structures of the table.")
    volumes = {
        name: _numbers(found, column.name, column.per_cm3, name in zeros or column.name in zeros)
        for name, column in raw.structures.items()
    }
    _sizes(found, volumes, icv)
    stated = _tool(found, tool)
    found.refuse()
    kept = found.rows
    frame = pd.DataFrame(
        {"participant_id": ids, "session": sessions, "age": age, "sex": sex, "site": site, "icv_cm3": icv}
    )
    frame["row"] = list(raw.rows)
    if not kept.any():
        raise TableError(raw.source, expected="people with an age", found="none", do="Give ages, in years.")
    method = icv_method if icv_method != NOT_STATED else raw.icv_method
    people = People(
        raw.source,
        frame,
        pd.DataFrame(volumes, index=frame.index),
        stated,
        method,
        raw.totals,
        tuple(found.warnings),
    )
    return people.take(kept)


def _people(found: Findings, pattern: str | None) -> tuple[list[str], list[str]]:
    cells = found.raw.cells
    columns = list(cells.columns)
    person, session = find_column(columns, PERSON), find_column(columns, SESSION)
    if person is None:
        raise TableError(
            found.raw.source,
            expected="a column participant_id",
            found=f"the columns {listed([str(c) for c in columns], 12)}",
            do="Add one: rows of one person must be known as such.",
        )
    ids = [str(value) for value in cells[person]]
    sessions = (
        ["" if is_missing(str(value)) else str(value) for value in cells[session]] if session else [""] * len(ids)
    )
    if pattern is not None:
        ids, sessions = _split_visits(ids, sessions, pattern)
    elif session is None:
        bases = Counter(match["person"] for match in map(_VISIT.match, ids) if match)
        several = [base for base, count in bases.items() if count > 1]
        if several:
            found.warnings.append(
                f"{len(several)} people look as if they had several visits by their participant_id, such as "
                f"{several[0]}; they count as different people unless there is a column session, or --visit-pattern"
            )
    missing = np.array([is_missing(name) for name in ids])
    found.wrong(missing, "a participant_id in every row", ids, "Name every person.")
    found.rows &= ~missing
    count = Counter(zip(ids, sessions, strict=True))
    twice = np.array([count[key] > 1 for key in zip(ids, sessions, strict=True)]) & ~missing
    do = "Keep one row of each person, or give a column session that tells visits apart."
    found.wrong(twice, "each person (and session) once", ids, do)
    if found.leave_out and twice.any():
        seen: set[tuple[str, str]] = set()
        for k, key in enumerate(zip(ids, sessions, strict=True)):
            found.rows[k] &= key not in seen
            seen.add(key)
        found.warnings.append("of rows of one person (and session) the first is used")
    return ids, sessions


def _split_visits(ids: list[str], sessions: list[str], pattern: str) -> tuple[list[str], list[str]]:
    people, visits = [], []
    for name, session in zip(ids, sessions, strict=True):
        match = re.search(pattern, name)
        people.append(name[: match.start()] + name[match.end() :] if match else name)
        visits.append((match[1] if match.groups() else match[0]) if match else session)
    return people, visits


def _ages(found: Findings) -> Floats:
    cells = found.raw.cells
    column, months = find_column(list(cells.columns), AGE), False
    if column is None:
        column = find_column(list(cells.columns), AGE_MONTHS)
        months = column is not None
    if column is None:
        raise TableError(
            found.raw.source,
            expected="a column age, in years",
            found=f"the columns {listed([str(c) for c in cells.columns], 12)}",
            do="Add one, or give --participants with a table of participant_id, age and sex.",
        )
    texts = [str(text) for text in cells[column]]
    missing = np.array([is_missing(text) for text in texts])
    comma = np.array([bool(_COMMA.match(text)) for text in texts])
    age = np.array([_number(text.replace(",", ".") if of else text) for text, of in zip(texts, comma, strict=True)])
    if comma.any():
        found.warnings.append(f"{int(comma.sum())} ages have a decimal comma: {found.named(comma, texts)}")
    if months:
        found.warnings.append(f"column {column} was taken for months and divided by 12")
        age = age / _MONTHS
    with np.errstate(invalid="ignore"):
        bad = ~missing & ~((age >= 0) & (age <= OLDEST))
    do = "Mend the ages; an unknown one is n/a. Ages in years are expected: name a column of months age_months."
    found.wrong(bad, f"ages in years from 0 to {OLDEST:g}", texts, do)
    if missing.any():
        found.warnings.append(f"{int(missing.sum())} rows without age are not used: {found.named(missing)}")
    found.rows &= ~missing & ~bad
    return age


def _sexes(found: Findings) -> list[str]:
    cells = found.raw.cells
    column = find_column(list(cells.columns), SEX)
    if column is None:
        found.warnings.append("there is no column sex: there is nothing for female and male")
        return [""] * len(cells)
    texts = [str(text) for text in cells[column]]
    missing = np.array([is_missing(text) for text in texts])
    bad = np.array([text.lower() not in SEXES for text in texts]) & ~missing
    found.wrong(bad, "sex as F, M, female or male", texts, "Write F or M; codes such as 1 and 2 are not guessed.")
    if missing.any():
        found.warnings.append(
            f"{int(missing.sum())} rows without sex count in all, not in female and male: {found.named(missing)}"
        )
    return [SEXES.get(text.lower(), "") for text in texts]


def _numbers(found: Findings, column: str, per_cm3: float, may_be_0: bool = False) -> Floats:
    """A column in cm3, nan where missing or wrong."""
    texts = [str(text) for text in found.raw.cells[column]]
    missing = np.array([is_missing(text) for text in texts])
    values = np.array([_number(text) for text in texts])
    with np.errstate(invalid="ignore"):
        no_number = ~missing & ~np.isfinite(values)
        not_above_0 = ~missing & np.isfinite(values) & ((values < 0) if may_be_0 else (values <= 0))
    comma = any("," in texts[k] for k in np.flatnonzero(no_number))
    do = "Write decimals with a point." if comma else "Mend the values; a missing one is n/a."
    found.wrong(no_number, f"numbers in column {column}", texts, do)
    do = "A structure that was not found is n/a, not 0; --zeros names structures that may be 0."
    found.wrong(not_above_0, f"volumes above 0 in column {column}", texts, do)
    values = np.where(no_number | not_above_0, np.nan, values)
    if missing.any():
        found.warnings.append(f"{column}: {int(missing.sum())} missing values: {found.named(missing)}")
    known = np.isfinite(values)
    # Where 0 is a true value, people may truly differ a hundredfold.
    if known.any() and not may_be_0:
        with np.errstate(invalid="ignore"):
            ratio = values / np.median(values[known])
            other = known & ((ratio > _SAME_UNIT) | (ratio < 1.0 / _SAME_UNIT))
        do = "It looks as if mm3 and cm3 were mixed; bring the column to one unit."
        found.wrong(other, f"column {column} in one unit", texts, do)
        values = np.where(other, np.nan, values)
    return np.asarray(values / per_cm3)


def _sizes(found: Findings, volumes: dict[str, Floats], icv: Floats) -> None:
    """Volumes that no head can hold: the unit in the column's name is another one than its values'."""
    for name, values in volumes.items():
        column = found.raw.structures[name].name
        known = np.isfinite(values)
        if known.any() and float(np.median(values[known])) > _LARGEST_MEDIAN_CM3:
            found.errors.append(
                (
                    f"column {column} in the unit that its name tells",
                    f"a median of {float(np.median(values[known])):.6g} cm3",
                    "Name the unit in which the values are: _mm3 or _cm3.",
                )
            )
            continue
        with np.errstate(invalid="ignore"):
            larger = values >= icv
        texts = [f"{v:.6g} cm3 in {i:.6g} cm3" for v, i in zip(values, icv, strict=True)]
        do = "Look at the units in the names of both columns."
        found.wrong(larger, f"column {column} smaller than the intracranial volume", texts, do)
        values[larger] = np.nan


def _tool(found: Findings, tool: str) -> str:
    raw = found.raw
    column = find_column(list(raw.cells.columns), TOOL)
    stated = {name for name in (tool, raw.tool) if name != NOT_STATED}
    if column is not None:
        texts = [str(text) for text in raw.cells[column]]
        names = Counter(text for text in texts if not is_missing(text))
        if len(names) > 1:
            rare = np.array([text == names.most_common()[-1][0] for text in texts])
            raise TableError(
                raw.source,
                expected="volumes of one tool",
                found=f"{', '.join(f'{name} in {count} rows' for name, count in names.most_common())}; "
                f"{found.named(rare, texts)}",
                do="Fit each tool by itself: bounds made with one do not fit another.",
            )
        stated |= set(names)
    if len(stated) > 1:
        raise TableError(
            raw.source,
            expected=f"volumes of {tool}",
            found=f"volumes of {' or '.join(sorted(stated - {tool}))}",
            do="Leave --tool out, or give the tool that made them.",
        )
    return stated.pop() if stated else NOT_STATED


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
