"""The table of what a library can be made from and everybody may download: addresses, sizes, digests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cerebatch.errors import DownloadError

Kind = Literal["lobules", "heads", "scans"]

TABLE = Path(__file__).with_name("published.tsv")

_COLUMNS = ("kind", "name", "bytes", "sha256", "licence", "url")


@dataclass(frozen=True)
class Published:
    """A file that a project publishes.

    Attributes
    ----------
    kind : {"lobules", "heads", "scans"}
    name : str
        Of the file, on disk.
    bytes : int or None
        None where it is not known.
    sha256 : str or None
        None where nobody has written it down: it is recorded at the first download.
    licence : str
    url : str
    """

    kind: Kind
    name: str
    bytes: int | None
    sha256: str | None
    licence: str
    url: str


def read_table(path: Path = TABLE) -> tuple[Published, ...]:
    """Read a table of published files.

    Parameters
    ----------
    path : Path
        Tab-separated, with the columns of the table of cerebatch; a mirror has the same digests under other addresses.

    Raises
    ------
    DownloadError
        It is no such table.

    Examples
    --------
    >>> files = read_table()
    >>> len([file for file in files if file.kind == "heads"])
    20
    >>> [file.name for file in files if file.sha256 is None]
    ['brains_t1.tar.bz2', 'brains_t2.tar.bz2']
    """
    try:
        with path.open(newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t")
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(
            path, expected="a table of files", found=f"none ({error})", do="Check the path of --table."
        ) from error
    if columns != _COLUMNS:
        raise DownloadError(
            path, expected=f"columns {', '.join(_COLUMNS)}", found=", ".join(columns) or "nothing",
            do="Copy cerebatch/building/published.tsv and change the addresses in it.",
        )  # fmt: skip
    return tuple(_row(path, number, row) for number, row in enumerate(rows, start=2))


def _row(path: Path, number: int, row: dict[str, str]) -> Published:
    kind, name, url = row["kind"], row["name"], row["url"]
    if kind not in get_args(Kind) or Path(name).name != name or not url or not (row["bytes"] or "0").isdigit():
        raise DownloadError(
            path, expected=f"one of {', '.join(get_args(Kind))}, a file name, a size and an address",
            found=f"line {number}: {row}", do="Mend the line.",
        )  # fmt: skip
    size = int(row["bytes"]) if row["bytes"] else None
    return Published(kind, name, size, row["sha256"] or None, row["licence"], url)  # type: ignore[arg-type]
