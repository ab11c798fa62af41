"""Tables that FreeSurfer's asegstats2table writes: one row a person, volumes in mm3."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lifespan.errors import TableError
from lifespan.tables.load import listed
from lifespan.tables.raw import Column, RawTable

_FIRST = "Measure:volume"
_ICV = "EstimatedTotalIntraCranialVol"
CEREBELLUM = (
    "Left-Cerebellum-Cortex",
    "Left-Cerebellum-White-Matter",
    "Right-Cerebellum-Cortex",
    "Right-Cerebellum-White-Matter",
)
_MM3 = 1000.0


def is_aseg(columns: list[str]) -> bool:
    """Whether the columns are those of an aseg table."""
    return bool(columns) and (columns[0] == _FIRST or CEREBELLUM[0] in columns)


def read_aseg(source: str, cells: pd.DataFrame, rows: tuple[str, ...], structures: Sequence[str] | None) -> RawTable:
    """Columns of volumes; by default the cerebellum's four.

    Raises
    ------
    TableError
        A wanted structure has no column.
    """
    columns = list(cells.columns)
    wanted = list(structures) if structures is not None else list(CEREBELLUM)
    by_name = {_name(column): column for column in columns} | {column: column for column in columns}
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise TableError(
            source,
            expected=f"the columns {listed(wanted)} of an aseg table",
            found=f"no {listed(missing)}",
            do="Write the table with asegstats2table --meas volume, or name other columns with --structures.",
        )
    cells = cells.rename(columns={_FIRST: "participant_id"})
    found = {_name(by_name[name]): Column(by_name[name], _MM3) for name in wanted}
    icv = Column(_ICV, _MM3) if _ICV in columns else None
    return RawTable(source, cells, rows, found, icv, tool="FreeSurfer", icv_method="FreeSurfer eTIV")


def _name(column: str) -> str:
    return column.replace("-", " ").lower()
