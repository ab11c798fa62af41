"""A folder in which a cohort was begun and not finished: whether it is the one that is asked for."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cerebatch.errors import DatasetError
from cerebatch.files import require_empty

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
    if _maker(_described(root)).get("Name") != TOOL:
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
    there = _described(root)
    if not there:
        return
    if there != description:
        wanted, found = _sentences(_maker(description)), _sentences(_maker(there))
        raise DatasetError(
            root,
            expected=f"a cohort begun with: {' '.join(one for one in wanted if one not in found).rstrip('.')}",
            found=f"one begun with: {' '.join(one for one in found if one not in wanted).rstrip('.')}",
            do=_DO,
        )
    begun = _participants(root)
    asked = [{column: str(value) for column, value in row.items()} for row in participants]
    if begun != asked[: len(begun)]:
        raise DatasetError(
            root,
            expected=f"the first of {len(asked)} people, or none",
            found=f"{len(begun)} people, of whom some are others or not asked for",
            do=_DO,
        )


def _described(root: Path) -> dict[str, Any]:
    try:
        content = json.loads((root / "dataset_description.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _maker(description: Mapping[str, Any]) -> dict[str, Any]:
    makers = description.get("GeneratedBy")
    return makers[0] if isinstance(makers, list) and makers and isinstance(makers[0], dict) else {}


def _sentences(maker: Mapping[str, Any]) -> list[str]:
    """What made a cohort: its version and each sentence of its description."""
    return re.split(r"(?<=\.) ", f"{maker.get('Name')} {maker.get('Version')}. {maker.get('Description')}")


def _participants(root: Path) -> list[dict[str, str]]:
    path = root / "participants.tsv"
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
