"""How one case stands, told from what is written down about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cerebatch.batch.job import case_folder
from cerebatch.batch.ledger.lease import Lease, is_stale, read_lease
from cerebatch.batch.ledger.records import Failure, Record, read_model, read_record
from cerebatch.io.stamp import FileStamp

State = Literal["done", "at_work", "waiting", "failed", "changed"]


@dataclass(frozen=True)
class ChangedFile:
    """An output whose bytes are not those that were written.

    Attributes
    ----------
    case, stage : str
    path : str
        Absolute.
    found : str
        What is wrong with it.
    """

    case: str
    stage: str
    path: str
    found: str


@dataclass(frozen=True)
class CaseStatus:
    """How one case stands.

    Attributes
    ----------
    name : str
    state : {"done", "at_work", "waiting", "failed", "changed"}
    stages : tuple of str
        In the order in which they run.
    done : int
        How many of these need not run again.
    took : dict
        Stage -> seconds, and largest memory in MB (10^6 bytes) or None; of stages that were run, done or not.
    lease : Lease or None
        Who works on it; its stage is the one that the case is at or waits for, empty if that is not known yet.
    failure : Failure or None
        Why it stopped.
    changed : list of ChangedFile
    """

    name: str
    state: State
    stages: tuple[str, ...]
    done: int
    took: dict[str, tuple[float, float | None]]
    lease: Lease | None
    failure: Failure | None
    changed: list[ChangedFile]


def look(out_dir: Path, case: str, stages: tuple[str, ...], now: Callable[[], float], *, verify: bool) -> CaseStatus:
    """Look at the records of a case and at the sizes and times of its outputs.

    Parameters
    ----------
    out_dir : Path
    case : str
        Its name.
    stages : tuple of str
        In the order in which they run.
    now : callable
        Gives the time by the clock of the file system, seconds.
    verify : bool
        Whether to read the bytes of outputs: of the last stage, and of the one that the case has come to. Those of a
        case at work are left alone, for they are being written.

    Returns
    -------
    status : CaseStatus
        What is missing or broken counts as not written.
    """
    written = _written(case_folder(out_dir, case))
    records = {
        stage: record
        for stage in stages
        if (entry := written.get(f"{stage}.json")) is not None and (record := read_record(Path(entry.path))) is not None
    }
    lease = _fresh_lease(written, now)
    failure = _failure(written, stages) if lease is None else None
    at = failure.stage if failure is not None else ""
    if lease is not None and not _finished_since(written, "lease.json", lease.stage, stages):
        at = lease.stage
    # What is recorded of the stage that a case is at, and of those after it, is of other inputs or settings.
    done = _done(out_dir, stages[: stages.index(at)] if at in stages else stages, records)
    if lease is not None and at not in stages:  # it is renewed now and then, not at every stage
        lease = lease.model_copy(update={"stage": stages[done] if done < len(stages) else ""})
    changed = []
    if verify and lease is None:
        furthest = {*stages[-1:], *stages[max(done - 1, 0) : done]}
        changed = [file for stage in furthest & records.keys() for file in _changed(out_dir, case, records[stage])]
    state: State = "done" if done == len(stages) else "waiting"
    if lease is not None:
        state = "at_work"
    elif changed:
        state = "changed"
    elif failure is not None:
        state = "failed"
    took = {stage: took for stage, record in records.items() if (took := _took(record)) is not None}
    return CaseStatus(case, state, stages, done, took, lease, failure, changed)


def _written(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:
        return {}


def _done(out_dir: Path, stages: tuple[str, ...], records: dict[str, Record]) -> int:
    """How many stages are done. Seen backwards: once a stage is, what led to it may be gone."""
    for done in range(len(stages), 0, -1):
        record = records.get(stages[done - 1])
        if record is not None and record.is_done(record.key, out_dir / record.folder):
            return done
    return 0


def _fresh_lease(written: dict[str, os.DirEntry[str]], now: Callable[[], float]) -> Lease | None:
    entry = written.get("lease.json")
    lease = None if entry is None else read_lease(Path(entry.path))
    return None if entry is None or lease is None or is_stale(Path(entry.path), lease, now) else lease


def _failure(written: dict[str, os.DirEntry[str]], stages: tuple[str, ...]) -> Failure | None:
    """Why the case stopped, unless it has come further since."""
    entry = written.get("failure.json")
    failure = None if entry is None else read_model(Path(entry.path), Failure)
    if failure is None or _finished_since(written, "failure.json", failure.stage, stages):
        return None
    return failure


def _finished_since(written: dict[str, os.DirEntry[str]], name: str, stage: str, stages: tuple[str, ...]) -> bool:
    """Whether a stage, or one after it, was finished after the file `name` was written."""
    following = stages[stages.index(stage) :] if stage in stages else stages
    try:
        then = written[name].stat().st_mtime_ns
        return any(
            entry.stat().st_mtime_ns > then for one in following if (entry := written.get(f"{one}.json")) is not None
        )
    except OSError:
        return True  # gone since we looked: the case went on


def _changed(out_dir: Path, case: str, record: Record) -> Iterator[ChangedFile]:
    for name, stamp in record.outputs.items():
        path = out_dir / record.folder / name
        try:
            same = FileStamp.of(path).sha256 == stamp.sha256
        except FileNotFoundError:
            continue  # the stage is not done, which is told already
        except OSError as error:
            yield ChangedFile(case, record.stage, str(path), f"cannot be read: {error.strerror}")
            continue
        if not same:
            yield ChangedFile(case, record.stage, str(path), "other bytes than were written")


def _took(record: Record) -> tuple[float, float | None] | None:
    """Seconds and largest memory in MB; None if they are not written as we write them."""
    try:
        peaks = [step["peak_mb"] for step in record.information["steps"] if step["peak_mb"] is not None]
        return float(record.information["seconds"]), max(peaks, default=None)
    except (KeyError, TypeError, ValueError):
        return None
