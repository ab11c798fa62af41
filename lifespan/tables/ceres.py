"""Tables of CERES and DeepCERES: columns such as Left.Crus.I, all in cm3, with ICV."""

from __future__ import annotations

import re

import pandas as pd

from lifespan.errors import TableError
from lifespan.people import NOT_STATED
from lifespan.tables.raw import Column, RawTable, find_column

_STRUCTURE = re.compile(r"^(Left|Right)\.(.+)$")
_LEAST = 4


def is_ceres(columns: list[str]) -> bool:
    """Whether the columns are those of CERES or DeepCERES."""
    return sum(bool(_STRUCTURE.match(column)) for column in columns) >= _LEAST


def read_ceres(source: str, cells: pd.DataFrame, rows: tuple[str, ...], tool: str) -> RawTable:
    """Columns of volumes; the names tell no unit, the format is in cm3.

    Both tools write the same columns, and their volumes differ by a quarter, so the tool has to be said.

    Raises
    ------
    TableError
        The tool is not stated.
    """
    if tool == NOT_STATED:
        raise TableError(
            source,
            expected="to be told whether CERES or DeepCERES made it",
            found="columns that both write",
            do="Give --tool CERES or --tool DeepCERES: their volumes of lobules differ by about a quarter.",
        )
    structures = {}
    for column in cells.columns:
        match = _STRUCTURE.match(column)
        if match:
            structures[f"{match[1].lower()} {_lobule(match[2])}"] = Column(column, 1.0)
    icv = find_column(list(cells.columns), ("icv",))
    return RawTable(
        source, cells, rows, structures, Column(icv, 1.0) if icv else None, tool=tool, icv_method=f"{tool} ICV"
    )


def _lobule(name: str) -> str:
    """Crus.I is Crus I; I.V and I.II are ranges."""
    return re.sub(r"^([IVX]+)\.([IVX]+)$", r"\1-\2", name).replace(".", " ")
