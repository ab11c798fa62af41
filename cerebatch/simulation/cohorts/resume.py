"""A folder in which a cohort was begun and not finished: whether it is the one that is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cerebatch.errors import DatasetError
from cerebatch.io.description import makers, read_description
from cerebatch.io.files import read_rows, require_empty

TOOL = "cerebatch simulate"
"""Name in GeneratedBy of what `cerebatch simulate` has written."""

_DO = "Name another folder, or call it as it was begun; only --people may be more."


def require_new_or_begun(root: Path) -> None:
    """Refuse a folder in which anything but a simulated cohort lies.

    Raises
    ------
    DatasetError
        It does.
    """
    if all(maker.get("Name") != TOOL for maker in makers(read_description(root))):
        require_empty(root)


def require_same(root: Path, description: Mapping[str, Any], participants: Sequence[Mapping[str, object]]) -> None:
    """Refuse a folder in which another cohort was begun.

    Parameters
    ----------
    root : Path
    description : mapping
        The dataset_description.json that will be written.
    participants : sequence of mapping
        Rows of the participants.tsv that will be written. Those that are there must be the first of them.

    Raises
    ------
    DatasetError
        Another cohort, or no cohort, is there.
    """
    require_new_or_begun(root)
    there = read_description(root)
    if not there:
        return
    if there != description:
        wanted, found = _sentences(description), _sentences(there)
        raise DatasetError(
            root,
            expected=f"a cohort begun with: {' '.join(one for one in wanted if one not in found).rstrip('.')}",
            found=f"one begun with: {' '.join(one for one in found if one not in wanted).rstrip('.')}",
            do=_DO,
        )
    table = root / "participants.tsv"
    begun = read_rows(table) if table.exists() else []
    asked = [{column: str(value) for column, value in row.items()} for row in participants]
    if begun != asked[: len(begun)]:
        raise DatasetError(
            root,
            expected=f"the first of {len(asked)} people, or none",
            found=f"{len(begun)} people, of whom some are others or not asked for",
            do=_DO,
        )


def _sentences(description: Mapping[str, Any]) -> list[str]:
    """What made a cohort: its version and each sentence of its description."""
    maker = next(one for one in makers(description) if one.get("Name") == TOOL)
    return re.split(r"(?<=\.) ", f"{maker.get('Name')} {maker.get('Version')}. {maker.get('Description')}")
