"""Tables with one row a structure: cerebatch's own *_seg-lobules_volumes.tsv, one file or a cohort in one table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.errors import TableError
from lifespan.people import NOT_STATED
from lifespan.tables.load import listed, load
from lifespan.tables.raw import PERSON, SESSION, Column, RawTable, find_column, is_missing
from lifespan.tables.units import PER_CM3, is_icv, split_unit

OWN = "cerebatch"
OWN_NAME = "*_seg-lobules_volumes.tsv"
_LABELS = frozenset(
    ("I-II", "III", "IV", "V", "VI", "Crus I", "Crus II", "VIIB", "VIIIA", "VIIIB", "IX", "X", "White matter")
)
_SIDES = ("left", "right", "both")
_VALUE = "volume_cm3"
_PERCENT = "percent_icv"
_ENTITIES = re.compile(r"^sub-(?P<sub>[A-Za-z0-9]+)(_ses-(?P<ses>[A-Za-z0-9]+))?_")


def is_long(columns: list[str]) -> bool:
    """Whether there is one row a structure."""
    return "structure" in columns


def read_own_folder(folder: Path, value: str | None) -> RawTable:
    """All tables of volumes that cerebatch wrote into a folder, by the people in their file names.

    Raises
    ------
    TableError
        No such table, or one that cannot be used.
    """
    paths = sorted(folder.rglob(OWN_NAME))
    if not paths:
        do = "Give the OUT_DIR of `cerebatch run`, or one table."
        raise TableError(folder, expected=f"tables {OWN_NAME}", found="none", do=do)
    methods = {path: _method(path) for path in paths}
    if len(set(methods.values())) > 1:
        examples = {method: path.name for path, method in reversed(methods.items())}
        raise TableError(
            folder,
            expected="volumes of one method",
            found=listed([f"{method} ({name})" for method, name in sorted(examples.items())]),
            do="Give a folder or a table with one of them: their volumes differ.",
        )
    parts = [own_cells(path) for path in paths]
    cells = pd.concat([cells for cells, _ in parts], ignore_index=True)
    rows = tuple(row for _, names in parts for row in names)
    raw = read_long(str(folder), cells, rows, value)
    return RawTable(**{**vars(raw), "tool": own_tool(methods[paths[0]], value), "icv_method": _icv_method(paths[0])})


def own_cells(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Cells of one person's table, with participant_id and session from its file name.

    Raises
    ------
    TableError
        The name does not tell whose it is.
    """
    cells, rows = load(path)
    if find_column(list(cells.columns), PERSON) is None:
        match = _ENTITIES.match(path.name)
        if match is None:
            do = "Keep the name that cerebatch gave it, or add a column participant_id."
            raise TableError(path, expected="a name that begins with sub-LABEL", found=path.name, do=do)
        cells.insert(0, "participant_id", f"sub-{match['sub']}")
        cells.insert(1, "session", match["ses"] or "")
    return cells, tuple(f"{path.name} {row}" for row in rows)


def read_own_file(path: Path, cells: pd.DataFrame, rows: tuple[str, ...], value: str | None) -> RawTable:
    """One table in cerebatch's columns: of one person, or of a cohort with a column participant_id."""
    if find_column(list(cells.columns), PERSON) is None:
        cells, rows = own_cells(path)
    raw = read_long(str(path), cells, rows, value)
    return RawTable(**{**vars(raw), "tool": own_tool(_method(path), value), "icv_method": _icv_method(path)})


def is_own(columns: list[str]) -> bool:
    """Whether the columns are those of cerebatch's tables of volumes."""
    return {"structure", "side", _VALUE}.issubset(columns)


def read_long(source: str, cells: pd.DataFrame, rows: tuple[str, ...], value: str | None) -> RawTable:
    """One row a person and visit from one row a structure.

    Parameters
    ----------
    source : str
    cells : DataFrame
        Columns participant_id, structure, perhaps side, one column of volumes with its unit, perhaps percent_icv or
        a column of ICV.
    rows : tuple of str
    value : str, optional
        The column of volumes, where there are several.

    Raises
    ------
    TableError
        No such column, or a structure twice for one person and visit.
    """
    columns = list(cells.columns)
    person = find_column(columns, PERSON)
    if person is None:
        raise TableError(
            source,
            expected="a column participant_id",
            found=f"the columns {listed(columns, 12)}",
            do="Add one: it tells which rows belong to one person.",
        )
    value, per_cm3, icv_column = _value_column(source, columns, value)
    session = find_column(columns, SESSION)
    names = [_structure(cells, k) for k in range(len(cells))]
    keys = list(zip(cells[person], cells[session] if session else [""] * len(cells), strict=True))
    values: dict[tuple[str, str], dict[str, str]] = {}
    first: dict[tuple[str, str], int] = {}
    twice = []
    for k, (key, name) in enumerate(zip(keys, names, strict=True)):
        first.setdefault(key, k)
        if name in values.setdefault(key, {}):
            twice.append(f"{rows[k]} ({' '.join(key).strip()}, {name})")
        values[key][name] = cells[value].iloc[k]
    if twice:
        do = "Keep one row, or add a column session for several visits."
        raise TableError(source, expected="each structure once a person and visit", found=listed(twice), do=do)
    order = list(dict.fromkeys(names))
    wide = cells.iloc[list(first.values())].reset_index(drop=True).copy()
    for name in order:
        wide[name] = [values[key].get(name, "") for key in first]
    icv: Column | None = icv_column
    if icv is None and _PERCENT in columns:
        wide["icv_cm3"] = _icv_from_percent(cells, keys, value, per_cm3, first)
        icv = Column("icv_cm3", 1.0)
    totals = frozenset(name for name in order if _is_total(name))
    structures = {name: Column(name, per_cm3) for name in order}
    named = tuple(rows[k] for k in first.values())
    return RawTable(source, wide, named, structures, icv, totals=totals)


def _value_column(source: str, columns: list[str], value: str | None) -> tuple[str, float, Column | None]:
    with_unit = {c: split_unit(c) for c in columns if split_unit(c)[1] is not None}
    icv = next((Column(c, PER_CM3[str(u)]) for c, (name, u) in with_unit.items() if is_icv(name)), None)
    volumes = [c for c, (name, _) in with_unit.items() if not is_icv(name)]
    if value is None:
        value = _VALUE if _VALUE in volumes else volumes[0] if len(volumes) == 1 else None
    if value not in volumes:
        raise TableError(
            source,
            expected="one column of volumes with its unit in its name, such as volume_cm3",
            found=listed(volumes) or f"the columns {listed(columns, 12)}",
            do="Rename it, or say which with --column.",
        )
    return value, PER_CM3[str(with_unit[value][1])], icv


def _structure(cells: pd.DataFrame, row: int) -> str:
    name = str(cells["structure"].iloc[row])
    return f"{cells['side'].iloc[row]} {name}" if "side" in cells.columns else name


def _is_total(name: str) -> bool:
    side, _, structure = name.partition(" ")
    return side in _SIDES and (side == "both" or structure not in _LABELS)


def _icv_from_percent(
    cells: pd.DataFrame, keys: list[tuple[str, str]], value: str, per_cm3: float, first: dict[tuple[str, str], int]
) -> list[str]:
    """ICV in cm3 of each person and visit: the row with the largest volume has the most digits."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    # The share is of volume_cm3, whichever column is fitted.
    of = _VALUE if _VALUE in cells.columns else value
    scale = 1.0 if of == _VALUE else per_cm3
    for key, volume, share in zip(keys, cells[of], cells[_PERCENT], strict=True):
        try:
            pair = (float(volume) / scale, float(share))
        except ValueError:
            continue
        if pair > best.get(key, (0.0, 0.0)) and pair[1] > 0:
            best[key] = pair
    return [repr(float(np.round(100.0 * best[key][0] / best[key][1], 2))) if key in best else "" for key in first]


def own_tool(method: str, value: str | None) -> str:
    """The tool, how it labelled, and what it counted: volumes of one do not fit curves of another."""
    counted = "" if value in (None, _VALUE) else f" {value}"
    return f"{OWN}{f' ({method})' if method != NOT_STATED else ''}{counted}"


def _method(path: Path) -> str:
    """How a scan was labelled, from the sidecar of its label map."""
    return _from_json(path.with_name(path.name.replace("_volumes.tsv", "_dseg.json")), "Method")


def _icv_method(path: Path) -> str:
    """How the ICV was made, from the sidecar of the table."""
    return _from_json(path.with_suffix(".json"), "ICV", "Method")


def _from_json(path: Path, *keys: str) -> str:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
    except (OSError, ValueError, KeyError, TypeError):
        return NOT_STATED
    return NOT_STATED if is_missing(str(value)) else str(value)
