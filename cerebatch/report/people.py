"""Who was scanned: ages, sexes and sites of cases, from the tables of a BIDS dataset."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cerebatch.io.participants import MISSING, parse_age, parse_sex, read_participants, read_session
from cerebatch.report.result import Person

_SITE = ("site", "site_id", "scanner")


def people_of(bids_dir: Path, names: Iterable[str]) -> dict[str, Person]:
    """Look up cases in participants.tsv and sub-*_sessions.tsv.

    Parameters
    ----------
    bids_dir : Path
        Root of the dataset.
    names : iterable of str
        ``sub-X`` or ``sub-X_ses-Y``.

    Returns
    -------
    people : dict
        Name -> person; nothing is known of those that the tables lack.

    Raises
    ------
    DatasetError
        participants.tsv cannot be read.
    """
    table, _ = read_participants(bids_dir)
    found = {}
    for name in names:
        participant, _, session = name.removeprefix("sub-").partition("_ses-")
        row = table.get(participant, {})
        own = read_session(bids_dir / f"sub-{participant}", session)[0] if session else {}
        age, _ = parse_age(own.get("age", ""), row.get("age", ""))
        sex, _ = parse_sex(row.get("sex", ""))
        sites = (text for column in _SITE for text in (own.get(column, ""), row.get(column, "")))
        site = next((text for text in sites if text.lower() not in MISSING), "")
        found[name] = Person(age, sex, site)
    return found
