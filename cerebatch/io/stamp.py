"""How a file is told from what it was: size, modification time, digest of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits; takes little memory for a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FileStamp(BaseModel):
    """Size, modification time and digest of a file.

    Attributes
    ----------
    size : int
        Bytes.
    mtime_ns : int
        Modification time, nanoseconds.
    sha256 : str
        Digest of the bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path, known: FileStamp | None = None) -> FileStamp:
        """Stamp of a file; its bytes are read only if size or time differ from `known`."""
        if known is not None and known.matches(path):
            return known
        status = path.stat()  # before the bytes: a file that changes meanwhile must not look known
        return cls(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=file_sha256(path))

    def matches(self, path: Path) -> bool:
        """Whether the file is there with this size and time."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)

    def refreshed(self, path: Path) -> FileStamp | None:
        """This stamp with the file's time of today.

        Returns
        -------
        stamp : FileStamp or None
            None: the file is not there, cannot be read, or has other bytes. They are read only if the size is the same
            and the time is not.
        """
        try:
            if path.stat().st_size != self.size:
                return None
            today = FileStamp.of(path, self)
        except OSError:
            return None
        return today if today.sha256 == self.sha256 else None
