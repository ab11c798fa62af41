"""Tables with one column a structure, its unit in its name: left_cortex_mm3."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lifespan.errors import TableError
from lifespan.tables.load import listed
from lifespan.tables.raw import Column, RawTable
from lifespan.tables.units import PER_CM3, is_icv, split_unit


def read_wide(
    source: str, cells: pd.DataFrame, rows: tuple[str, ...], structures: Sequence[str] | None, unit: str | None
) -> RawTable:
    """Columns of volumes by their units.

    Parameters
    ----------
    source : str
    cells : DataFrame
    rows : tuple of str
    structures : sequence of str, optional
        Only these, with or without their unit; by default every column with a unit.
    unit : str, optional
        Unit of `structures` whose names have none.

    Raises
    ------
    TableError
        No column with a unit, an unknown structure, or one structure in two units.
    """
    found: dict[str, Column] = {}
    icv: Column | None = None
    units: set[str] = set()
    for column in cells.columns:
        name, stated = split_unit(column)
        wanted = structures is not None and (column in structures or name in structures)
        stated = stated or (unit if wanted or is_icv(name) else None)
        if stated is None or (structures is not None and not wanted and not is_icv(name)):
            continue
        place = Column(column, PER_CM3[stated])
        known = icv if is_icv(name) else found.get(name)
        if known is not None:
            raise TableError(
                source,
                expected="each structure in one column",
                found=f"{name} in the columns {known.name} and {column}",
                do="Take one of them out.",
            )
        if is_icv(name):
            icv = place
        else:
            found[name] = place
            units.add(stated)
    missing = [name for name in structures or () if name not in found and split_unit(name)[0] not in found]
    if not found or missing:
        raise TableError(
            source,
            expected="columns of volumes with their unit in the name, such as left_cortex_mm3 or left_cortex_cm3"
            if not missing
            else f"columns {listed(missing)} with a unit",
            found=f"the columns {listed([str(c) for c in cells.columns], 12)}",
            do="Rename them, or name them with --structures and their unit with --unit.",
        )
    warnings: tuple[str, ...] = ()
    if len(units) > 1:
        warnings = (f"volumes stand in {' and '.join(sorted(units))}; all were brought to cm3 by their column names",)
    return RawTable(source, cells, rows, found, icv, warnings=warnings)
