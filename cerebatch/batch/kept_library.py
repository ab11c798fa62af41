"""Which library a folder of results was begun with: later calls keep to it, whatever is found elsewhere by then."""

from __future__ import annotations

import json
from pathlib import Path

from cerebatch.batch.ledger.records import read_record
from cerebatch.errors import InputError, LibraryError
from cerebatch.io.atomic import write_text
from cerebatch.library.found import Found, find_library, given_library
from cerebatch.library.store import open_library

_FILE = "records/library.json"
_BEGUN = "as this folder of results was begun"


def choose_library(out: Path, asked: Path | None, without: bool, resolution: float) -> Found | None:
    """The library of a run.

    Parameters
    ----------
    out : Path
        Folder of its results.
    asked : Path or None
        What the user gave; it goes before everything else.
    without : bool
        Whether the user wants none.
    resolution : float
        Edge of the MNI grid in millimetres.

    Returns
    -------
    found : Found or None
        What was asked for, else what the folder was begun with, else what `find_library` finds.

    Raises
    ------
    LibraryError
        The library cannot be used, or is not there any more as the folder was begun with it.
    """
    if without:
        return None
    if asked is not None:
        return given_library(asked)
    kept = out / _FILE
    if kept.exists():
        said = json.loads(kept.read_text())
        return None if said["Library"] is None else _again(out, Path(said["Library"]), said["Digest"])
    if any((out / "records/cases").glob("*/*.json")):
        return _of_records(out, resolution)
    return find_library(resolution)


def keep_library(out: Path, library: Found | None) -> None:
    """Write down with which library, or that without one, the results in a folder are made.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    said = {"Library": library and str(library.path), "Digest": library and library.digest}
    try:
        write_text(out / _FILE, json.dumps(said, indent=1) + "\n")
    except OSError as error:
        raise InputError(
            out, expected="a folder that can be written", found=str(error.strerror), do="Give another folder."
        ) from error


def words(library: Found | None) -> str:
    """The line about the library at the start of a run."""
    return "library: none, so the networks see no atlas (docs/library.md)" if library is None else str(library)


def _again(out: Path, path: Path, digest: str) -> Found:
    try:
        library = open_library(path)
    except LibraryError as error:
        raise _changed(out, str(path), digest, error.found) from error
    if library.digest != digest:
        raise _changed(out, str(path), digest, f"one of digest {library.digest[:12]}")
    return Found(path, digest, _BEGUN)


def _of_records(out: Path, resolution: float) -> Found | None:
    """Results of a version that did not write the library down: the records of atlases have its digest."""
    digests = set()
    for path in (out / "records/cases").glob("*/atlas.json"):
        record = read_record(path)
        if record is not None:
            digests.add(str(record.inputs.get("library")))
    if not digests:
        return None
    found = find_library(resolution)
    if found is None or found.digest not in digests:
        raise _changed(out, "a library", min(digests), "no path of it" if found is None else f"only {found.path}")
    return Found(found.path, found.digest, _BEGUN)


def _changed(out: Path, name: str, digest: str, found: str) -> LibraryError:
    return LibraryError(
        out, expected=f"{name} (digest {digest[:12]}), which its results were begun with", found=found,
        do="Give that library by --library, go without one (--no-library), or take another folder.",
    )  # fmt: skip
