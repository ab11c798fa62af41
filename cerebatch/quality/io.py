"""The files of quality: a table of metrics, and a sidecar with flags and rating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cerebatch.io.files import write_json, write_rows
from cerebatch.quality.metric import COLUMNS, Metric
from cerebatch.quality.rating import RATINGS, raised, rate

FORMAT_VERSION = 2
"""Of the sidecar. 1 had no version, and called the message of a flag "Words"."""


def read_rating(content: Mapping[str, Any]) -> dict[str, Any]:
    """Rating, what it means, and flags, of a sidecar of this version or of version 1.

    Raises
    ------
    KeyError
        One of them is not there.
    """
    flags = [
        {("Message" if key == "Words" else key): value for key, value in flag.items()} for flag in content["Flags"]
    ]
    return {"Rating": content["Rating"], "RatingMeans": content["RatingMeans"], "Flags": flags}


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
        COLUMNS
        | {
            "FormatVersion": FORMAT_VERSION,
            "Rating": rating,
            "RatingMeans": RATINGS[rating],
            "Flags": [flag.as_json() for flag in flags],
        },
    )
