"""One published file onto the disk: resumed where it stopped, and kept only if it is what its digest says."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cerebatch.building.published import Published
from cerebatch.errors import DownloadError
from cerebatch.io.atomic import write_text

TellBytes = Callable[[int], None]
"""Gets how many bytes of a file are there now."""

_TRIES = 4
_CHUNK = 1 << 16
_TIMEOUT_S = 30
_AGAIN = "What came is kept: run the same command again, and it goes on from there."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def download(file: Published, folder: Path, tell: TellBytes = lambda there: None) -> Path:
    """Bring a published file into a folder; one that is there and right is not loaded again.

    Parameters
    ----------
    file : Published
    folder : Path
        Made where it is not there. An unfinished file lies in it as ``NAME.part``.
    tell : callable

    Returns
    -------
    path : Path

    Raises
    ------
    DownloadError
        The server does not give it, it is another file than its digest says, or the disk does not take it.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)
    known = file.sha256 or _recorded(folder, file)
    problem: DownloadError | None = None
    for _ in range(_TRIES):
        resumed = _part(folder, file).exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pooch.retrieve(
                file.url, known_hash=known and f"sha256:{known}", fname=file.name, path=folder,
                downloader=_Resuming(_part(folder, file), tell),
            )  # fmt: skip
        except OSError as error:
            if isinstance(error, requests.RequestException):
                problem = _unreachable(file, error)
                if problem.final:
                    raise problem from error
                continue
            raise _not_written(folder, file, error) from error
        except ValueError as error:  # pooch compared the digests
            _part(folder, file).unlink(missing_ok=True)
            problem = DownloadError(
                file.url, expected=f"sha256 {known}", found="another file, or a broken one",
                do=f"Nothing of it was kept. Try again; if it stays so, {file.name} was changed where it is published.",
            )  # fmt: skip
            if not resumed:
                raise problem from error
            continue  # begun from another version perhaps: once more from the start
        path = folder / file.name
        if known is None:
            write_text(_record(folder, file), f"{pooch.file_hash(str(path))}  {file.name}\n")
        return path
    assert problem is not None
    raise problem


def recorded_digest(folder: Path, file: Published) -> str | None:
    """The digest that a file without a known one had when it was first downloaded into a folder."""
    return _recorded(folder, file)


class _Resuming:
    """Downloader for pooch: asks the server for what is missing and appends it."""

    def __init__(self, part: Path, tell: TellBytes) -> None:
        self._part = part
        self._tell = tell

    def __call__(self, url: str, output_file: str | IO[bytes], _pooch: Any) -> None:
        import requests

        have = self._part.stat().st_size if self._part.exists() else 0
        wanted = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=wanted, stream=True, timeout=_TIMEOUT_S) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # All of it is there, or more than all: the digest tells.
                self._deliver(output_file)
                return
            response.raise_for_status()
            goes_on = have > 0 and response.status_code == requests.codes.partial_content
            have = have if goes_on else 0
            with self._part.open("ab" if goes_on else "wb") as part:
                for chunk in response.iter_content(_CHUNK):
                    part.write(chunk)
                    have += len(chunk)
                    self._tell(have)
        self._deliver(output_file)

    def _deliver(self, output_file: str | IO[bytes]) -> None:
        assert isinstance(output_file, str)
        self._part.replace(output_file)


def _part(folder: Path, file: Published) -> Path:
    return folder / f"{file.name}.part"


def _record(folder: Path, file: Published) -> Path:
    return folder / f"{file.name}.sha256"


def _recorded(folder: Path, file: Published) -> str | None:
    path = _record(folder, file)
    return path.read_text().split()[0] if path.exists() else None


def _unreachable(file: Published, error: Any) -> DownloadError:
    """What a server or the way to it said; final where asking again cannot help."""
    response = getattr(error, "response", None)
    if response is not None:
        final = response.status_code < 500
        do = "It moved, or the address in the table is wrong." if final else "Try again later."
        found = f"the server's answer {response.status_code} {response.reason}"
        return DownloadError(file.url, expected=f"the file {file.name}", found=found, do=do, final=final)
    found = f"a connection that broke off or could not be made ({type(error).__name__})"
    return DownloadError(file.url, expected=f"the file {file.name}", found=found, do=_AGAIN)


def _not_written(folder: Path, file: Published, error: OSError) -> DownloadError:
    if error.errno in _FULL:
        return DownloadError(
            folder / file.name, expected="room for the file", found=f"a full disk ({error.strerror})",
            do="Make room, or give another folder. " + _AGAIN,
        )  # fmt: skip
    return DownloadError(
        folder / file.name, expected="a folder that can be written", found=str(error.strerror or error),
        do="Give another folder.",
    )  # fmt: skip
