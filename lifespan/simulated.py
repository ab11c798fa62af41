"""Whether a table comes from simulated people: no bounds may be made from these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lifespan.errors import FitError

if TYPE_CHECKING:
    from lifespan.people import People

KEY = "Simulated"
"""Of dataset_description.json: true where the people are simulated. Derivatives carry it on."""


def is_simulated(path: Path | str) -> bool:
    """Whether a folder, or one that it lies in, is a BIDS dataset that says so.

    Parameters
    ----------
    path : Path or str
        Table or folder.
    """
    start = Path(path).resolve()
    return any(_says_so(folder / "dataset_description.json") for folder in (start, *start.parents))


def refuse_simulated(people: People) -> None:
    """Refuse to make bounds from simulated people.

    Raises
    ------
    FitError
        They are.
    """
    if people.simulated:
        raise FitError(
            people.source,
            expected="volumes of real people",
            found=f"those of simulated people: the dataset_description.json of a folder that holds the table, or its "
            f"participants, has {KEY} true",
            do="Bounds come from real cohorts only. `lifespan compare` takes simulated people, too.",
        )


def _says_so(description: Path) -> bool:
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get(KEY) is True
