"""Files and folders that appear all at once: a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cerebatch.io.temporary import temporary_name


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write a file to; the file is `path` when the block ends, and gone when the block raises.

    Parameters
    ----------
    path : Path
        Replaced where it exists. Folders above it are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, all of it or nothing."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def folder_made_whole(path: Path) -> Iterator[Path]:
    """A temporary folder of the same name; it is `path` when the block ends, and gone when the block raises.

    Parameters
    ----------
    path : Path
        Must not exist. Folders above it are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as holder:
        made = Path(holder) / path.name
        yield made
        made.rename(path)
