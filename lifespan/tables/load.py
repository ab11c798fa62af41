"""A text file or a DataFrame as cells of text."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.errors import TableError

_DO = "Save it as text in UTF-8, columns separated by tabs, commas or semicolons, with one header line."


def load(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Cells of a file, stripped, and the names of the rows.

    Raises
    ------
    TableError
        No such file, no text, no rows, lines of unequal length or a column name twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(path, expected="a table", found=f"none that can be read ({error})", do=_DO) from error
    header = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=header.count)
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter)
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise TableError(path, expected="a table", found=f"lines that cannot be split ({error})", do=_DO) from error
    if len(lines) < 2:
        raise TableError(path, expected="a header and rows below it", found=f"{len(lines)} lines", do=_DO)
    (_, columns), *body = lines
    uneven = [f"line {number} ({len(line)} cells)" for number, line in body if len(line) != len(columns)]
    if uneven:
        found = f"{len(columns)} columns and {listed(uneven)}"
        raise TableError(path, expected="as many cells in every line as in the header", found=found, do=_DO)
    _refuse_twice(path, columns)
    cells = pd.DataFrame([line for _, line in body], columns=columns, dtype=object)
    return cells, tuple(f"line {number}" for number, _ in body)


def from_frame(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Cells of a DataFrame, and the names of the rows.

    Raises
    ------
    TableError
        No rows, or a column name twice.
    """
    columns = [str(column) for column in frame.columns]
    _refuse_twice(source, columns)
    if frame.empty:
        raise TableError(source, expected="rows", found="none", do="Give a table with people.")
    cells = pd.DataFrame(
        {name: [_text(value) for value in frame[column]] for name, column in zip(columns, frame.columns, strict=True)},
        dtype=object,
    )
    return cells, tuple(f"row {label}" for label in frame.index)


def listed(names: list[str], most: int = 8) -> str:
    """Some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value).strip()


def _refuse_twice(source: Path | str, columns: list[str]) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        do = "Give each column a name of its own."
        raise TableError(source, expected="each column once", found=f"{listed(twice)} more than once", do=do)
