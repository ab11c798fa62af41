"""What a run set out to do, and how it ended: one file each, written once."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cerebatch.batch.ledger.records import utc_now, write_model
from cerebatch.io.process import ProcessIdentity


def new_run_id() -> str:
    """An id that sorts by time and that no other run has."""
    return f"{utc_now().replace(':', '').replace('-', '')}-{secrets.token_hex(3)}"


class Manifest(ProcessIdentity):
    """What a run set out to do, and the driver that did.

    Attributes
    ----------
    run : str
        Id.
    began : str
        UTC, ISO 8601.
    host, pid, boot, namespace, born
        Of the driver.
    command : list of str
    profile : str
        Name of the profile.
    stages : list of str
        In the order in which they run.
    cases : list of str
        Their names.
    left_out : dict
        Name of what is no case of the run -> why.
    """

    run: str = Field(default_factory=new_run_id)
    began: str = Field(default_factory=utc_now)
    command: list[str] = Field(default=[])
    profile: str
    stages: list[str]
    cases: list[str]
    left_out: dict[str, str] = Field(default={})


class End(BaseModel):
    """How a run ended.

    Attributes
    ----------
    ended : str
        UTC, ISO 8601.
    how : {"finished", "interrupted"}
    done, skipped, failed, elsewhere, handed_back : int
        Cases done in this run, done before, failed, at work in another run, and given back unfinished.
    """

    model_config = ConfigDict(extra="forbid")

    ended: str = Field(default_factory=utc_now)
    how: Literal["finished", "interrupted"]
    done: int = 0
    skipped: int = 0
    failed: int = 0
    elsewhere: int = 0
    handed_back: int = 0


def runs_folder(out_dir: Path) -> Path:
    """Where manifests and ends of runs stand, and their private folders while they run."""
    return out_dir / "records" / "runs"


def manifest_path(out_dir: Path, run: str) -> Path:
    """Where the manifest of a run stands."""
    return runs_folder(out_dir) / f"{run}.json"


def end_path(out_dir: Path, run: str) -> Path:
    """Where it stands how a run ended; missing while it runs, or if it was killed."""
    return runs_folder(out_dir) / f"{run}.end.json"


def begin(out_dir: Path, manifest: Manifest) -> None:
    """Write a manifest."""
    write_model(manifest_path(out_dir, manifest.run), manifest)


def finish(out_dir: Path, run: str, end: End) -> None:
    """Write down how a run ended."""
    write_model(end_path(out_dir, run), end)
