"""Files that are not yet whole: written under a name that nothing else uses, and renamed.

The name tells which process made it, so that what a killed one left can be told from what another is working on.
"""

from __future__ import annotations

import glob
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cerebatch.io.process import ProcessIdentity, this_process


def temporary_name(path: Path) -> Path:
    """A name beside `path` that nothing else uses."""
    maker = this_process()
    unique = f"{_world(maker)}-{maker.pid}-{maker.born or 0}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name}.{unique}.tmp")


def sweep(path: Path, *, untouched_seconds: float) -> None:
    """Remove what was left beside `path` under a temporary name.

    Parameters
    ----------
    path : Path
        Of the output.
    untouched_seconds : float
        What nobody touched for so long goes, too, whoever made it; else its maker must be gone for sure.
    """
    left = list(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
    if not left:
        return
    now = clock(path.parent)
    for one in left:
        try:
            if not _maker_is_gone(one.name) and now - _last_touched(one) <= untouched_seconds:
                continue
        except OSError:  # it goes this very moment, or cannot be looked at
            continue
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            with suppress(OSError):
                one.unlink(missing_ok=True)


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """A folder for an output that is not yet whole, on the same file system; gone afterwards."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    folder = temporary_name(beside)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clock(folder: Path) -> float:
    """Time by the clock of the file system of a folder, seconds."""
    probe = temporary_name(folder / "clock")
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _world(maker: ProcessIdentity) -> str:
    """Short digest of where numbers of processes mean the same."""
    return hashlib.sha256(f"{maker.host} {maker.boot} {maker.namespace}".encode()).hexdigest()[:8]


def _maker_is_gone(name: str) -> bool:
    """Whether the maker of a temporary name is gone, for sure."""
    try:
        world, pid, born, _ = name.removesuffix(".tmp").rpartition(".")[2].split("-")
        me = this_process()
        return world == _world(me) and me.model_copy(update={"pid": int(pid), "born": born}).is_gone
    except ValueError:  # not ours, or of an earlier version
        return False


def _last_touched(path: Path) -> float:
    """Latest modification time of a file, or of anything in a folder, seconds."""
    inside = path.rglob("*") if path.is_dir() else ()
    return float(max(one.stat().st_mtime for one in (path, *inside)))
