"""Units of volumes, from the names of columns."""

from __future__ import annotations

import re

PER_CM3 = {"mm3": 1000.0, "cm3": 1.0, "ml": 1.0}

_SUFFIX = re.compile(r"^(?P<name>.+?)[\s_.]*[\s_.(\[](?P<unit>mm3|cm3|ml)[)\]]?$", re.IGNORECASE)
_ICV = re.compile(r"^(icv|tiv|etiv|estimatedtotalintracranialvol)$", re.IGNORECASE)


def split_unit(column: str) -> tuple[str, str | None]:
    """Name and unit ("mm3", "cm3" or "ml") of a column such as left_cortex_mm3; the unit is None if none is there."""
    match = _SUFFIX.match(column)
    return (match["name"], match["unit"].lower()) if match else (column, None)


def is_icv(name: str) -> bool:
    """Whether a column, without its unit, is the intracranial volume."""
    return bool(_ICV.match(re.sub(r"[\s_.]", "", name)))
