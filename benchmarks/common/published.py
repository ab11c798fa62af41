"""Volumes in the columns of tables that DeepCERES wrote."""

from __future__ import annotations

import pandas as pd

from cerebatch.labels import LABELS

TOGETHER = ("I-II", "III", "IV", "V")
"""Structures that those tables add up as I.V."""


def as_published(volumes: pd.DataFrame) -> pd.DataFrame:
    """Columns such as ``Left.I.V`` and ``Right.Crus.I``; white matter has none.

    Parameters
    ----------
    volumes : DataFrame
        One row a scan, one column for each of the 26 labels, by its name; any unit.
    """
    found = {}
    for side in ("left", "right"):
        own = {one.structure: one.name for one in LABELS if one.side == side}
        found[f"{side.capitalize()}.I.V"] = volumes[[own.pop(structure) for structure in TOGETHER]].sum(axis=1)
        own.pop("White matter")
        for structure, name in own.items():
            found[f"{side.capitalize()}.{structure.replace(' ', '.')}"] = volumes[name]
    return pd.DataFrame(found)
