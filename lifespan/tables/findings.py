"""What is wrong with a table: collected, told by row, refused together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lifespan.arrays import Bools
from lifespan.errors import TableError
from lifespan.tables.load import listed
from lifespan.tables.raw import PERSON, RawTable, find_column


@dataclass
class Findings:
    """What is wrong, as it is found; refused at the end, or left out with a warning.

    Attributes
    ----------
    raw : RawTable
    leave_out : bool
        Whether a bad row or cell is left out instead of refusing the table.
    rows : (n,) bool
        Rows that stay.
    """

    raw: RawTable
    leave_out: bool
    rows: Bools
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, bad: Bools, expected: str, texts: list[str], do: str) -> None:
        """Rows with a bad value."""
        if not bad.any():
            return
        found = self.named(bad, texts)
        if self.leave_out:
            self.warnings.append(f"left out: {found}; expected {expected}")
        else:
            self.errors.append((expected, found, do))

    def named(self, rows: Bools, texts: list[str] | None = None) -> str:
        """Rows by line and person, with what stands there."""
        person = find_column(list(self.raw.cells.columns), PERSON)
        names = []
        for k in np.flatnonzero(rows):
            who = f" ({self.raw.cells[person].iloc[k]})" if person else ""
            names.append(f"{self.raw.rows[k]}{who}{f' {texts[k]!r}' if texts is not None else ''}")
        return listed(names)

    def refuse(self) -> None:
        """Raise what was found, all of it in one message."""
        if self.errors:
            (expected, found, do), *more = self.errors
            rest = "".join(f"\n  Also expected {e}, found {f}. {d}" for e, f, d in more)
            hint = "\n  --leave-out takes such rows and values out, and says which." if not self.leave_out else ""
            raise TableError(self.raw.source, expected=expected, found=found, do=f"{do}{rest}{hint}")
