"""FreeSurfer: tables of asegstats2table, and folders of people with stats/aseg.stats; volumes in mm3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

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
_STATS = "*/stats/aseg.stats"
_ENTITIES = re.compile(r"^(?P<person>.+?)_ses-(?P<session>[A-Za-z0-9]+)(_.*)?$")


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


def is_subjects_dir(folder: Path) -> bool:
    """Whether a folder holds people that FreeSurfer has done."""
    return any(True for _ in folder.glob(_STATS))


def read_subjects_dir(folder: Path, structures: Sequence[str] | None) -> RawTable:
    """One row a folder with stats/aseg.stats: its name is the person's, and the session's where it ends in _ses-LABEL.

    Raises
    ------
    TableError
        A file is none of FreeSurfer's, or nobody has a wanted structure.
    """
    people = []
    for path in sorted(folder.glob(_STATS)):
        name = path.parent.parent.name
        match = _ENTITIES.match(name)
        who = {_FIRST: match["person"] if match else name, "session": match["session"] if match else ""}
        people.append(who | _volumes(path))
    columns = list(dict.fromkeys(column for person in people for column in person))
    cells = pd.DataFrame([[person.get(c, "") for c in columns] for person in people], columns=columns, dtype=object)
    rows = tuple(str(path.parent.parent.name) for path in sorted(folder.glob(_STATS)))
    return read_aseg(str(folder), cells, rows, structures)


def _volumes(path: Path) -> dict[str, str]:
    """Structure -> volume, and the intracranial volume, of one aseg.stats; mm3."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    header = next((line.split()[2:] for line in lines if line.startswith("# ColHeaders")), [])
    for line in lines:
        if line.startswith(f"# Measure {_ICV},"):
            found[_ICV] = line.split(",")[3].strip()
        elif header and line.strip() and not line.startswith("#"):
            cells = dict(zip(header, line.split(), strict=False))
            found[cells.get("StructName", "")] = cells.get("Volume_mm3", "")
    if not {"StructName", "Volume_mm3"} <= set(header):
        raise TableError(
            path,
            expected="the table of aseg.stats with the columns Volume_mm3 and StructName",
            found=f"the columns {listed(header, 12)}" if header else "none",
            do="Run FreeSurfer again for this person, or take the folder out.",
        )
    return found


def _name(column: str) -> str:
    return column.replace("-", " ").lower()
