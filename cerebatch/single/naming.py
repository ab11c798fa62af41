"""The name of a case whose scan lies in no dataset: that of its file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cerebatch.errors import SettingsError
from cerebatch.io.scan import EXTENSIONS

Label = tuple[str, str | None]
"""Participant and session, without ``sub-`` and ``ses-``."""

_BIDS = re.compile(r"sub-([a-zA-Z0-9+]+)(?:_ses-([a-zA-Z0-9+]+))?(?:_.*)?")
_SUFFIX = re.compile(r"[_-](?:T1w|T1)$")


def label_of(path: Path) -> Label:
    """Participant and session of a file or folder: its entities, else the letters and digits of its name.

    Parameters
    ----------
    path : Path

    Examples
    --------
    >>> label_of(Path("sub-07_ses-2_T1w.nii.gz"))
    ('07', '2')
    >>> label_of(Path("anna 2024_T1w.mgz"))
    ('anna2024', None)
    """
    stem = _stem(path)
    entities = _BIDS.fullmatch(stem)
    if entities:
        return entities[1], entities[2]
    return _letters(_SUFFIX.sub("", stem)) or "scan", None


def labels_of(paths: Sequence[Path]) -> list[Label]:
    """Labels of several files, no two alike: those that would be are told apart by their folders, else by number."""
    labels = [label_of(path) for path in paths]
    often = Counter(labels)
    labels = [
        (_letters(path.absolute().parent.name) + participant, session) if often[(participant, session)] > 1
        else (participant, session)
        for path, (participant, session) in zip(paths, labels, strict=True)
    ]  # fmt: skip
    seen: set[Label] = set()
    for index, (participant, session) in enumerate(labels):
        label, number = (participant, session), 1
        while label in seen:
            number += 1
            label = (f"{participant}x{number}", session)
        seen.add(label)
        labels[index] = label
    return labels


def parse_name(name: str) -> Label:
    """Participant and session of ``sub-X``, ``sub-X_ses-Y`` or ``X``.

    Raises
    ------
    SettingsError
        Anything but letters and digits.
    """
    found = re.fullmatch(r"(?:sub-)?([a-zA-Z0-9+]+)(?:_ses-([a-zA-Z0-9+]+))?", name)
    if found is None:
        raise SettingsError(f"name {name!r}: expected letters and digits, or sub-X or sub-X_ses-Y with such.")
    return found[1], found[2]


def _stem(path: Path) -> str:
    lower = path.name.lower()
    ending = next((ending for ending in EXTENSIONS if lower.endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)]


def _letters(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]", "", text)
