"""All published files that a library is made from, into one folder, and what of them a build takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cerebatch.building.archives import scans_of_archives
from cerebatch.building.download import download, recorded_digest
from cerebatch.building.published import Kind, Published
from cerebatch.errors import DownloadError

Tell = Callable[[str], None]
TellBytes = Callable[[Published, int], None]

_LIBRARY_BYTES = {1.0: 1_000_000_000, 0.5: 3_000_000_000, 4.0: 100_000_000}
"""Room that a build of all pairs takes beside its sources, by the edge of the grid (64 pairs of 1 mm: 0.42 GB)."""


@dataclass(frozen=True)
class Fetched:
    """What was downloaded.

    Attributes
    ----------
    lobules, heads : Path
        Folders of label maps, as `build` takes them.
    scans : Path or None
        Folder of the scans of the maps' people; None where none were asked for or could be used.
    """

    lobules: Path
    heads: Path
    scans: Path | None


def fetch(
    folder: Path, files: Sequence[Published], *, with_scans: bool, resolution: float, tell: Tell, tell_bytes: TellBytes
) -> Fetched:
    """Download what is not there yet, each file checked against its digest.

    Parameters
    ----------
    folder : Path
    files : sequence of Published
    with_scans : bool
        Whether the T1w and T2w of the maps' people come, too.
    resolution : float
        Of the library that will be built, for the room that it takes.
    tell : callable
        Gets a line about what a user should know.
    tell_bytes : callable
        Gets a file and how many bytes of it are there.

    Raises
    ------
    DownloadError
        A file does not come, is not what its digest says, or there is no room.
    """
    wanted = [file for file in files if with_scans or file.kind != "scans"]
    folder = folder.expanduser().absolute()
    _require_room(folder, wanted, resolution)
    archives = []
    for file in wanted:
        if file.sha256 is None and recorded_digest(_place(folder, file.kind), file) is None:
            tell(f"{file.name}: nobody has published a digest of it; that of this first download will be recorded")
        path = download(file, _place(folder, file.kind), lambda there, file=file: tell_bytes(file, there))  # type: ignore[misc]
        if file.kind == "scans":
            archives.append(path)
    scans = scans_of_archives(archives, folder / "scans", tell) if archives else None
    return Fetched(_place(folder, "lobules"), _place(folder, "heads"), scans)


def _place(folder: Path, kind: Kind) -> Path:
    return folder / ("archives" if kind == "scans" else kind)


def _require_room(folder: Path, files: Sequence[Published], resolution: float) -> None:
    missing = sum(file.bytes or 0 for file in files if not (_place(folder, file.kind) / file.name).exists())
    needed = missing + _LIBRARY_BYTES[resolution]
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DownloadError(
            folder, expected=f"{needed / 1e9:.1f} GB of room for the files and the library",
            found=f"{free / 1e9:.1f} GB", do="Make room, or give another folder.",
        )  # fmt: skip
