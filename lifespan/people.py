"""A table of volumes after reading: people with ages, sexes and volumes in cm3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lifespan.arrays import Bools, Floats, Ints
from lifespan.measures import PERCENT, POWER

NOT_STATED = "not stated"
GROUPS = ("all", "female", "male")
SEX_OF_GROUP = {"female": "F", "male": "M"}


@dataclass(frozen=True)
class People:
    """Rows of people, checked.

    Attributes
    ----------
    source : str
        File or words for a table in memory.
    frame : DataFrame
        Columns participant_id, session ("" if none), age (years), sex (F, M or ""), site ("" if none), icv_cm3 (nan
        where unknown), row (what a message calls it).
    volumes : DataFrame
        One column a structure, cm3, nan where missing; the rows of `frame`.
    tool : str
        What made the volumes.
    icv_method : str
        How the intracranial volumes were made.
    totals : frozenset of str
        Structures that are sums of others: lobes, both sides, the whole.
    warnings : tuple of str
    simulated : bool
        Whether a dataset that the table or its participants belong to says that its people are simulated.
    """

    source: str
    frame: pd.DataFrame
    volumes: pd.DataFrame
    tool: str = NOT_STATED
    icv_method: str = NOT_STATED
    totals: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = field(default=())
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.volumes.columns)

    @property
    def age(self) -> Floats:
        return self.frame["age"].to_numpy(dtype=np.float64)

    @property
    def icv_cm3(self) -> Floats:
        return self.frame["icv_cm3"].to_numpy(dtype=np.float64)

    @property
    def has_icv(self) -> bool:
        return bool(np.isfinite(self.icv_cm3).any())

    def texts(self, column: str) -> list[str]:
        """A column of words."""
        return [str(value) for value in self.frame[column]]

    def in_group(self, group: str) -> Bools:
        """(n,) who belongs to all, female or male."""
        if group == "all":
            return np.ones(len(self), dtype=np.bool_)
        return np.asarray(self.frame["sex"] == SEX_OF_GROUP[group], dtype=np.bool_)

    def take(self, rows: Bools | Ints) -> People:
        """Some of the rows, by mask or index."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            frame=self.frame.iloc[index].reset_index(drop=True),
            volumes=self.volumes.iloc[index].reset_index(drop=True),
        )

    def only(self, structures: Sequence[str]) -> People:
        """Some of the structures."""
        return replace(self, volumes=self.volumes[list(structures)], totals=self.totals & frozenset(structures))


def fitted_rows(people: People, structure: str, measure: str, group: str) -> Bools:
    """(n,) the rows of a table that a curve is fitted to: of the group, with a volume and, where needed, an ICV."""
    known = people.in_group(group) & np.isfinite(people.volumes[structure].to_numpy(dtype=np.float64))
    return np.asarray(known & np.isfinite(people.icv_cm3)) if measure in (PERCENT, POWER) else known
