"""Reading a table of volumes, whichever tool wrote it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lifespan.people import NOT_STATED, People
from lifespan.simulated import is_simulated
from lifespan.tables.ceres import is_ceres, read_ceres
from lifespan.tables.checks import check
from lifespan.tables.freesurfer import is_aseg, is_subjects_dir, read_aseg, read_subjects_dir
from lifespan.tables.load import from_frame, load
from lifespan.tables.long import is_long, is_own, read_long, read_own_file, read_own_folder
from lifespan.tables.participants import join_participants
from lifespan.tables.raw import RawTable
from lifespan.tables.wide import read_wide


@dataclass(frozen=True)
class Reading:
    """What a user says about a table.

    Attributes
    ----------
    participants : Path or None
        Second table with participant_id, age, sex, perhaps site.
    tool, icv_method : str
        What made the volumes and the intracranial volumes.
    structures : tuple of str or None
        Only these.
    unit : str or None
        Unit of `structures` whose columns have none in their names: mm3, cm3 or ml.
    column : str or None
        Of a long table with several columns of volumes.
    visit_pattern : str or None
        Regular expression: the part of participant_id that names the visit.
    leave_out : bool
        Leave wrong rows and values out, with a warning, instead of refusing the table.
    zeros : tuple of str
        Structures, or their columns, whose volume may truly be 0, such as lesions.
    """

    participants: Path | None = None
    tool: str = NOT_STATED
    icv_method: str = NOT_STATED
    structures: tuple[str, ...] | None = None
    unit: str | None = None
    column: str | None = None
    visit_pattern: str | None = None
    leave_out: bool = False
    zeros: tuple[str, ...] = ()


def read_table(table: Path | str | pd.DataFrame | People, reading: Reading | None = None) -> People:
    """Read a table of volumes.

    Known are tables of cerebatch (`*_seg-lobules_volumes.tsv`, one, or a folder of them), of CERES and DeepCERES, of
    FreeSurfer (asegstats2table, or SUBJECTS_DIR with a folder a person), and any with one column a structure or one row
    a structure whose columns tell the unit (`_mm3`, `_cm3`, `_ml`).

    Parameters
    ----------
    table : Path, str, DataFrame or People
        People are given back as they are.
    reading : Reading, optional

    Raises
    ------
    TableError
        With file, rows and columns, what was expected, and what to do.
    """
    if isinstance(table, People):
        return table
    said = reading or Reading()
    raw = _raw(table, said)
    if said.participants is not None:
        raw = join_participants(raw, said.participants)
    people = check(
        raw,
        tool=said.tool,
        icv_method=said.icv_method,
        leave_out=said.leave_out,
        visit_pattern=said.visit_pattern,
        zeros=said.zeros,
    )
    files = [path for path in (table, said.participants) if isinstance(path, Path | str)]
    people = replace(people, simulated=any(is_simulated(path) for path in files))
    if said.structures is not None:
        kept = [name for name in people.structures if _wanted(name, raw.structures[name].name, said.structures)]
        people = people.only(kept or people.structures)
    return people


def _raw(table: Path | str | pd.DataFrame, said: Reading) -> RawTable:
    if isinstance(table, pd.DataFrame):
        source = "the table"
        cells, rows = from_frame(table, source)
    else:
        path = Path(table)
        if path.is_dir():
            if is_subjects_dir(path):
                return read_subjects_dir(path, said.structures)
            return read_own_folder(path, said.column)
        source = str(path)
        cells, rows = load(path)
        if is_own(list(cells.columns)):
            return read_own_file(path, cells, rows, said.column)
    columns = list(cells.columns)
    if is_long(columns):
        return read_long(source, cells, rows, said.column)
    if is_ceres(columns):
        return read_ceres(source, cells, rows, said.tool)
    if is_aseg(columns):
        return read_aseg(source, cells, rows, said.structures)
    return read_wide(source, cells, rows, said.structures, said.unit)


def _wanted(name: str, column: str, structures: tuple[str, ...]) -> bool:
    return name in structures or column in structures
