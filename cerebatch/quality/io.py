"""The files of quality: a table of metrics, and a sidecar with flags and rating."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cerebatch.io.files import write_json, write_rows
from cerebatch.quality.metric import COLUMNS, Metric
from cerebatch.quality.rating import RATINGS, raised, rate


def write_quality(path: Path, metrics: Sequence[Metric]) -> None:
    """Write ``*_quality.tsv`` and its sidecar.

    Parameters
    ----------
    path : Path
        The table.
    metrics : sequence of Metric
    """
    flags = raised(metrics)
    rating = rate(flags)
    write_rows(path, (metric.as_text() for metric in metrics))
    write_json(
        path.with_suffix(".json"),
        COLUMNS | {"Rating": rating, "RatingMeans": RATINGS[rating], "Flags": [flag.as_json() for flag in flags]},
    )
