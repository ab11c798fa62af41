"""A table before its values are looked at: which column is what, and in which unit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from lifespan.people import NOT_STATED

MISSING = ("", "n/a", "na", "nan", "none", "null")

PERSON = (
    "participant_id",
    "subject_id",
    "sub_id",
    "subj_id",
    "participant",
    "subject",
    "subj",
    "sub",
    "patient id",
    "pt_id",
    "participant_label",
    "subject_label",
    "id",
)
SESSION = ("session", "session_id", "ses", "visit")
AGE = ("age", "age_years", "age_in_years")
AGE_MONTHS = ("age_months", "age_in_months", "age_mo", "months")
SEX = ("sex", "gender")
SITE = ("site", "site_id", "scanner")
TOOL = ("tool", "software")


@dataclass(frozen=True)
class Column:
    """Where one kind of volume stands.

    Attributes
    ----------
    name : str
        Column of the table.
    per_cm3 : float
        How many of its units make one cm3: 1000 for mm3.
    """

    name: str
    per_cm3: float


@dataclass(frozen=True)
class RawTable:
    """Text cells, one row a person and visit, and what the columns mean.

    Attributes
    ----------
    source : str
        File or words for a table in memory.
    cells : DataFrame
        Text, stripped.
    rows : tuple of str
        What a message calls each row, such as "line 5".
    structures : dict
        Structure -> Column.
    icv : Column or None
    tool, icv_method : str
        "not stated" where the format does not tell.
    totals : frozenset of str
        Structures that are sums of others.
    warnings : tuple of str
    """

    source: str
    cells: pd.DataFrame
    rows: tuple[str, ...]
    structures: dict[str, Column]
    icv: Column | None
    tool: str = NOT_STATED
    icv_method: str = NOT_STATED
    totals: frozenset[str] = field(default=frozenset())
    warnings: tuple[str, ...] = ()


def find_column(columns: list[str], names: tuple[str, ...]) -> str | None:
    """The first column with one of some names; capitals, spaces, dashes and the like do not matter."""
    plain = {_letters(column): column for column in reversed(columns)}
    return next((plain[_letters(name)] for name in names if _letters(name) in plain), None)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def is_missing(text: str) -> bool:
    return text.lower() in MISSING
