"""What is written down about a finished or failed stage, and how an output appears all at once.

An output is written under a temporary name, and renamed when it is whole. Beside it goes a record with the
digests of what it was made from. "Done" means: the record's key is the one that today's inputs and settings
give, and the outputs still have the size and time that the record names. Where the size is the same and the time is
not, as in a folder that was copied or archived, the digest decides. There is no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cerebatch.io.atomic import write_text
from cerebatch.io.stamp import FileStamp

_Model = TypeVar("_Model", bound=BaseModel)

Fault = Literal["case", "place", "unknown"]

KILLED, HANG, LOST, DISK_FULL = "Killed", "Hang", "Lost", "DiskFull"
"""Failures of the place rather than of a stage: ended for its memory, past its time, gone with its worker, no space."""


def utc_now() -> str:
    """Now, as it is written into records."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Record(BaseModel):
    """What made an output.

    Attributes
    ----------
    stage : str
    version : int
        Of the stage; raised when its results change.
    key : str
        Digest of stage, version, inputs and settings (`stage_key`).
    inputs : dict
        Role -> stamp of each file from outside the run, or key of the stage before.
    settings : dict
        Only those that the stage reads.
    outputs : dict
        Path relative to the folder of the outputs -> stamp.
    folder : str
        Of the outputs: relative to OUT_DIR if it lies below it, else absolute.
    information : dict
        Seconds, memory, host, threads: nothing that decides whether the output is valid.
    """

    model_config = ConfigDict(extra="forbid")

    stage: str
    version: int
    key: str
    inputs: dict[str, FileStamp | str]
    settings: dict[str, Any]
    outputs: dict[str, FileStamp]
    folder: str = ""
    information: dict[str, Any] = {}

    def is_done(self, key: str, folder: Path) -> bool:
        """Whether this record has the key and its outputs in `folder` are unchanged."""
        return self.key == key and self.refreshed(folder) is not None

    def refreshed(self, folder: Path) -> Record | None:
        """This record with the times that its outputs in `folder` have today; None if one is not as it was written."""
        outputs = {}
        for name, stamp in self.outputs.items():
            today = stamp.refreshed(folder / name)
            if today is None:
                return None
            outputs[name] = today
        return self.model_copy(update={"outputs": outputs})


class Failure(BaseModel):
    """Why a case stopped.

    Attributes
    ----------
    case, stage : str
    kind : str
        Class of the error, or one of `KILLED`, `HANG`, `LOST`, `DISK_FULL`.
    message : str
        In words, for the person who started the run.
    key : str
        Of the stage; empty where it could not even be planned.
    limits : dict
        Memory and time that it had. While they and the key are the same it would fail again.
    host : str
        Where it happened; empty where that is not known.
    fault : {"case", "place", "unknown"}
        Of the scan and the settings; of the host, the file system or the installation there; of either.
    when : str
        UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid")

    case: str
    stage: str
    kind: str
    message: str
    key: str = ""
    limits: dict[str, float] = {}
    host: str = ""
    fault: Fault = "unknown"
    when: str = Field(default_factory=utc_now)

    def would_repeat(self, stage: str, key: str, limits: dict[str, float]) -> bool:
        """Whether the same stage under the same limits would fail the same way."""
        own_fault = bool(self.key) and (self.fault == "case" or self.kind in (KILLED, HANG))
        return own_fault and (self.stage, self.key, self.limits) == (stage, key, limits)


def stage_key(stage: str, version: int, inputs: Mapping[str, FileStamp | str], settings: Mapping[str, Any]) -> str:
    """Digest of what decides the bytes of a stage's output."""
    content = {
        "stage": stage,
        "version": version,
        "inputs": {role: stamp if isinstance(stamp, str) else stamp.sha256 for role, stamp in inputs.items()},
        "settings": dict(settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_model(path: Path, kind: type[_Model]) -> _Model | None:
    """What is written at `path`; None if there is nothing or it cannot be read."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def read_record(path: Path) -> Record | None:
    """The record at `path`; None means: not done."""
    return read_model(path, Record)


def write_model(path: Path, model: BaseModel) -> None:
    """Write a record or failure so that a reader sees all of it or nothing."""
    write_text(path, model.model_dump_json(indent=2) + "\n")


def publish(source: Path, target: Path) -> dict[str, FileStamp]:
    """Move every file of a whole output into its place, one atomic rename each.

    Parameters
    ----------
    source : Path
        Temporary folder.
    target : Path
        Folder of the output on the same file system; files already there are replaced.

    Returns
    -------
    stamps : dict
        Path relative to `target` -> stamp.
    """
    stamps = {}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = path.relative_to(source)
        stamps[name.as_posix()] = FileStamp.of(path)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(target / name)
    return stamps
