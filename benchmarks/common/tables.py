"""Where a benchmark leaves its table, if somebody wants it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write_table(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table with six significant digits, tab-separated.

    Parameters
    ----------
    table : DataFrame
        Its index is left out.
    path : Path or None
        Its folder is made. None: nothing is written.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, sep="\t", index=False, float_format="%.6g")
