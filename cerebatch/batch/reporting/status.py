"""How the cases of a folder stand, told from what is written down alone: during a run, or after it died.

Nothing is planned anew, so inputs and settings are not looked at. A case is done if the record of its last stage is
there and every output in it has its size and time. Once a stage is done, so are those before it, whose outputs may be
gone. A file that is missing or broken counts as not written.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Literal

from cerebatch.batch.ledger.lease import Lease
from cerebatch.batch.ledger.manifest import End, Manifest, end_path, manifest_path, runs_folder
from cerebatch.batch.ledger.records import Failure, read_model, utc_now
from cerebatch.batch.reporting.case_status import CaseStatus, ChangedFile, State, look
from cerebatch.errors import DatasetError
from cerebatch.io.temporary import clock

READERS = 8
"""Threads: reading waits for the file server most of the time."""


@dataclass
class StageStatus:
    """One stage over all cases.

    Attributes
    ----------
    name : str
    done, at_work, failed : int
        Cases.
    to_do : int
        Times it has still to run: in cases that are waiting or at work, this very stage included.
    timed : int
        Cases whose record tells what it took.
    mean_seconds, largest_seconds : float or None
        That it took in these; None if there are none.
    peak_mb : float or None
        Largest resident memory, MB (10^6 bytes); None if nothing tells.
    """

    name: str
    done: int = 0
    at_work: int = 0
    failed: int = 0
    to_do: int = 0
    timed: int = 0
    mean_seconds: float | None = None
    largest_seconds: float | None = None
    peak_mb: float | None = None

    def add(self, seconds: float, peak_mb: float | None) -> None:
        """Take in what one more case took."""
        self.timed += 1
        mean = self.mean_seconds or 0.0
        self.mean_seconds = mean + (seconds - mean) / self.timed
        self.largest_seconds = max(seconds, self.largest_seconds or 0.0)
        if peak_mb is not None:
            self.peak_mb = max(peak_mb, self.peak_mb or 0.0)


@dataclass(frozen=True)
class RunStatus:
    """One run.

    Attributes
    ----------
    run, began, host, profile : str
    pid : int
        Of the driver.
    cases : int
        That it set out to do.
    how : {"finished", "interrupted", "runs", "was killed"}
        A run that did not write its end runs as long as it has a fresh lease or its driver is a process of this host.
    ended : str
        UTC, ISO 8601; empty if unknown.
    counts : dict
        What the run counted at its end, see `manifest.End`.
    """

    run: str
    began: str
    host: str
    pid: int
    profile: str
    cases: int
    how: Literal["finished", "interrupted", "runs", "was killed"]
    ended: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How the cases of a folder stand; ``cerebatch status --json`` prints it with these very keys.

    Attributes
    ----------
    out_dir : str
        Absolute.
    looked : str
        When; UTC, ISO 8601.
    verified : bool
        Whether the bytes of outputs were read.
    counts : dict
        "expected", and how many of these are "done", "at_work", "waiting", "failed" and, if verified, "changed".
    states : dict
        Case -> one of these five.
    stages : list of StageStatus
        In the order in which they run.
    at_work : dict
        Case -> its lease: "host", "pid", "boot", "namespace" and "born" of the driver, "run" (id), "stage" (that it is
        at or waits for; empty if not known yet), "taken" (UTC, ISO 8601), "seconds" (after which it is stale unless
        renewed).
    failed : list of Failure
        "case", "stage", "kind", "message", "key", "limits", "host", "fault", "when", see `records.Failure`.
    failed_by_kind : dict
        Kind of failure -> number of cases, the most frequent first.
    left_out : dict
        Name of what no run took for a case -> why.
    seconds_left : float or None
        Mean seconds of all that has still to run, over the number of cases at work; None if that cannot be told.
    no_time_because : str
        Why it cannot; else empty.
    runs : list of RunStatus
        The latest last.
    changed : list of ChangedFile
        "case", "stage", "path", "found"; empty unless verified.
    """

    out_dir: str
    looked: str
    verified: bool
    counts: dict[str, int]
    states: dict[str, State]
    stages: list[StageStatus]
    at_work: dict[str, Lease]
    failed: list[Failure]
    failed_by_kind: dict[str, int]
    left_out: dict[str, str]
    seconds_left: float | None
    no_time_because: str
    runs: list[RunStatus]
    changed: list[ChangedFile]


def gather(out_dir: Path, *, verify: bool = False) -> Status:
    """Look at every case of every run of a folder.

    Parameters
    ----------
    out_dir : Path
        Folder that `cerebatch run` wrote into.
    verify : bool
        Whether to read the bytes of outputs: of the last stage, or of the one that a case has come to.

    Returns
    -------
    status : Status

    Raises
    ------
    DatasetError
        No run wrote into the folder, or it cannot be read.
    """
    out_dir = out_dir.absolute()
    runs, expected, left_out = _read_runs(out_dir)
    now = _clock(out_dir)
    lists = sorted(set(expected.values()), key=len, reverse=True)
    stages = {name: StageStatus(name) for names in lists for name in names}
    states: dict[str, State] = {}
    at_work: dict[str, Lease] = {}
    failed: list[Failure] = []
    changed: list[ChangedFile] = []
    with ThreadPool(READERS) as pool:
        found = pool.imap(lambda one: look(out_dir, *one, now, verify=verify), expected.items(), chunksize=64)
        for case in found:
            states[case.name] = case.state
            changed += case.changed
            if case.lease is not None:
                at_work[case.name] = case.lease
            if case.failure is not None:
                failed.append(case.failure)
            _count(case, stages)
    counts = Counter(states.values())
    seconds_left, no_time_because = _time_left(list(stages.values()), sum(lease.started for lease in at_work.values()))
    alive = {lease.run for lease in at_work.values()}
    return Status(
        out_dir=str(out_dir),
        looked=utc_now(),
        verified=verify,
        counts={"expected": len(states)}
        | {state: counts[state] for state in ("done", "at_work", "waiting", "failed", "changed")},
        states=states,
        stages=list(stages.values()),
        at_work=at_work,
        failed=failed,
        failed_by_kind=dict(Counter(one.kind for one in failed).most_common()),
        left_out=left_out,
        seconds_left=seconds_left,
        no_time_because=no_time_because,
        runs=[_run_status(out_dir, manifest, count, alive) for manifest, count in runs],
        changed=changed,
    )


def _read_runs(out_dir: Path) -> tuple[list[tuple[Manifest, int]], dict[str, tuple[str, ...]], dict[str, str]]:
    """Runs (without the names of their cases, but their number), stages of each case, and what was left out."""
    folder = runs_folder(out_dir)
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise _no_records(out_dir, f"no {folder}" if isinstance(error, FileNotFoundError) else str(error)) from error
    runs: list[tuple[Manifest, int]] = []
    expected: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for name in reversed(names):
        if name.startswith(".") or name.endswith(".end.json") or not name.endswith(".json"):
            continue
        manifest = read_model(manifest_path(out_dir, name.removesuffix(".json")), Manifest)
        if manifest is None:
            continue
        stages = tuple(manifest.stages)
        for case in manifest.cases:
            expected.setdefault(case, stages)
        left_out = manifest.left_out | left_out
        runs.insert(0, (manifest.model_copy(update={"cases": [], "left_out": {}}), len(manifest.cases)))
    if not runs:
        raise _no_records(out_dir, f"nothing that can be read in {folder}")
    return runs, expected, {name: why for name, why in left_out.items() if name not in expected}


def _no_records(out_dir: Path, found: str) -> DatasetError:
    return DatasetError(
        out_dir,
        expected="a folder that `cerebatch run` wrote into, with records of its runs",
        found=found,
        do="Give the OUT_DIR of a run: the folder that holds its dataset_description.json and records.",
    )


def _clock(out_dir: Path) -> Callable[[], float]:
    """Seconds by the clock of the file system, which leases go by; this host's if nothing can be written there."""
    ahead = 0.0
    with contextlib.suppress(OSError):  # who may only read wants to know all the same
        ahead = clock(out_dir / "records") - time.time()
    return lambda: time.time() + ahead


def _count(case: CaseStatus, stages: dict[str, StageStatus]) -> None:
    for name in case.stages[: case.done]:
        stages[name].done += 1
    if case.lease is not None and case.lease.stage in stages:
        stages[case.lease.stage].at_work += 1
    if case.failure is not None and case.failure.stage in stages:
        stages[case.failure.stage].failed += 1
    if case.state in ("at_work", "waiting"):
        for name in case.stages[case.done :]:
            stages[name].to_do += 1
    for name, (seconds, peak) in case.took.items():
        stages[name].add(seconds, peak)


def _time_left(stages: list[StageStatus], at_work: int) -> tuple[float | None, str]:
    to_do = [stage for stage in stages if stage.to_do]
    if not to_do:
        return 0.0, ""
    if not at_work:
        return None, "nothing is at work"
    unknown = [stage.name for stage in to_do if stage.mean_seconds is None]
    if unknown:
        return None, f"not one case has finished {', '.join(unknown)} yet"
    return sum(stage.to_do * (stage.mean_seconds or 0.0) for stage in to_do) / at_work, ""


def _run_status(out_dir: Path, manifest: Manifest, cases: int, alive: set[str]) -> RunStatus:
    end = read_model(end_path(out_dir, manifest.run), End)
    about = (manifest.run, manifest.began, manifest.host, manifest.pid, manifest.profile, cases)
    if end is not None:
        return RunStatus(*about, end.how, end.ended, end.model_dump(exclude={"how", "ended"}))
    return RunStatus(*about, "runs" if manifest.run in alive or _lives(manifest) else "was killed")


def _lives(manifest: Manifest) -> bool:
    """Whether the driver is a process that is seen from here: while its first job waits it holds no lease."""
    return manifest.is_in_sight and not manifest.is_gone
