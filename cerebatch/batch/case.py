"""The way of one case: prepare, atlas, segment, measure; what is done already is not done again."""

from __future__ import annotations

import platform
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from cerebatch.batch.events import Event, Tell
from cerebatch.batch.records import (
    Failure,
    FileStamp,
    Record,
    publish,
    read_record,
    stage_key,
    temporary_folder,
    write_model,
)
from cerebatch.bids import Case
from cerebatch.errors import CerebatchError, UnreadableScanError
from cerebatch.library.store import open_library
from cerebatch.settings import RunSettings
from cerebatch.stages import atlas, measure, prepare, segment
from cerebatch.steps import Step

SOFTWARE = ("cerebatch", "antspyx", "nibabel", "nilearn", "numpy", "picsl-greedy", "scipy")


@dataclass(frozen=True)
class Job:
    """One case and where it goes. Holds paths and settings, never voxels.

    Attributes
    ----------
    case : Case
    settings : RunSettings
    out_dir, work_dir : Path
        Outputs that stay, and intermediate files.
    keep_work : bool
        Whether intermediate files stay once the case is done.
    """

    case: Case
    settings: RunSettings
    out_dir: Path
    work_dir: Path
    keep_work: bool = False

    def record_path(self, stage: str) -> Path:
        """Where the record of a stage stands."""
        return self.out_dir / "records" / self.case.name / f"{stage}.json"

    @property
    def failure_path(self) -> Path:
        """Where it is written why the case stopped."""
        return self.out_dir / "records" / self.case.name / "failure.json"

    @property
    def scratch(self) -> Path:
        """Folder of the case's intermediate files."""
        return self.work_dir / self.case.name


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes
    ----------
    case : str
    status : {"done", "skipped", "failed"}
    failure : Failure or None
    """

    case: str
    status: Literal["done", "skipped", "failed"]
    failure: Failure | None = None


@dataclass(frozen=True)
class Stage:
    """One stage of one case: what decides its output, and how it is made.

    Attributes
    ----------
    name : str
    version : int
    inputs : dict
        Role -> stamp of a file, or key of the stage before.
    settings : dict
        Those that the stage reads.
    folder : Path
        Where the outputs go.
    make : callable
        Writes the outputs into the folder that it is given.
    """

    name: str
    version: int
    inputs: dict[str, FileStamp | str]
    settings: dict[str, Any]
    folder: Path
    make: Callable[[Path], list[Step]]

    @property
    def key(self) -> str:
        """Digest of what decides the output."""
        return stage_key(self.name, self.version, self.inputs, self.settings)


def plan(job: Job) -> list[Stage]:
    """The stages of a case in order, with the keys that today's inputs and settings give.

    Raises
    ------
    UnreadableScanError
        A scan cannot be opened.
    """
    case, settings = job.case, job.settings
    known = _known_stamps(job)
    scans: dict[str, FileStamp | str] = {}
    for role, path in (("T1w", case.t1w), ("T2w", case.t2w)):
        if path is not None:
            scans[role] = _stamp(path, known.get(role))
    at = {"resolution": settings.resolution}
    prepared = Stage(
        "prepare", prepare.VERSION, scans, at | {"seed": settings.seed}, job.scratch / "prepare",
        lambda folder: prepare.prepare(
            case.t1w, folder, t2w=case.t2w, resolution=settings.resolution, seed=settings.seed
        ),
    )  # fmt: skip
    labelled, origin = _labelled(job, prepared, known)
    segmented = labelled[-1]
    measured = Stage(
        "measure", measure.VERSION, {"segment": segmented.key}, at, (job.out_dir / case.folder).parent,
        lambda folder: measure.measure(
            case, prepared.folder, segmented.folder, folder,
            provenance=_provenance(settings, origin), resolution=settings.resolution, threads=settings.threads,
        ),
    )  # fmt: skip
    return [prepared, *labelled, measured]


def _labelled(job: Job, prepared: Stage, known: dict[str, FileStamp]) -> tuple[list[Stage], dict[str, Any]]:
    """The stages that give a prepared scan its labels, the last being `segment`, and where these come from."""
    settings, folder = job.settings, job.scratch / "segment"
    at = {"resolution": settings.resolution}
    if settings.library is not None:
        library = settings.library
        digest = open_library(library).digest
        made = Stage(
            "atlas", atlas.VERSION, {"prepare": prepared.key, "library": digest}, at, job.scratch / "atlas",
            lambda folder: atlas.atlas(library, prepared.folder, folder, threads=settings.threads),
        )  # fmt: skip
        segmented = Stage(
            "segment", segment.VERSION, {"atlas": made.key}, {}, folder,
            lambda folder: segment.segment_by_atlas(made.folder, folder),
        )  # fmt: skip
        return [made, segmented], {"Method": segment.ATLAS, "Library": {"Name": library.name, "Digest": digest}}
    case = settings.labelled_case
    assert case is not None  # RunSettings saw to it
    stamp = _stamp(case, known.get("labelled_case"))
    segmented = Stage(
        "segment", segment.VERSION, {"prepare": prepared.key, "labelled_case": stamp}, at, folder,
        lambda folder: segment.segment_by_case(
            case, folder, resolution=settings.resolution, threads=settings.threads
        ),
    )  # fmt: skip
    origin = {"Method": segment.SINGLE_CASE, "LabelledCase": {"File": case.name, "SHA256": stamp.sha256}}
    return [segmented], origin


def missing(job: Job, stages: list[Stage]) -> list[Stage]:
    """The stages that have to run. Once the last is done, what led to it may be gone."""

    def is_done(stage: Stage) -> bool:
        record = read_record(job.record_path(stage.name))
        return record is not None and record.is_done(stage.key, stage.folder)

    *before, last = stages
    return [] if is_done(last) else [*(stage for stage in before if not is_done(stage)), last]


def run_case(job: Job, tell: Tell) -> Outcome:
    """Carry one case as far as it goes; whatever happens to it becomes an outcome.

    Parameters
    ----------
    job : Job
    tell : callable
        Gets an `Event` for everything that happens.
    """
    name, started, stage_name = job.case.name, time.perf_counter(), "prepare"
    try:
        to_do = missing(job, plan(job))
        for stage in to_do:
            stage_name = stage.name
            _run_stage(job, stage, tell)
    except Exception as error:
        failure = _failure(job, stage_name, error)
        write_model(job.failure_path, failure)
        tell(Event(name, "failed", stage_name, time.perf_counter() - started, failure.message))
        return Outcome(name, "failed", failure)
    job.failure_path.unlink(missing_ok=True)
    if not job.keep_work:
        shutil.rmtree(job.scratch, ignore_errors=True)
    status: Literal["done", "skipped"] = "done" if to_do else "skipped"
    tell(Event(name, status, seconds=time.perf_counter() - started))
    return Outcome(name, status)


def _run_stage(job: Job, stage: Stage, tell: Tell) -> None:
    tell(Event(job.case.name, "started", stage.name))
    began, started = time.time(), time.perf_counter()
    with temporary_folder(beside=stage.folder) as folder:
        steps = stage.make(folder)
        outputs = publish(folder, stage.folder)
    seconds = time.perf_counter() - started
    record = Record(
        stage=stage.name,
        version=stage.version,
        key=stage.key,
        inputs=stage.inputs,
        settings=stage.settings,
        outputs=outputs,
        information={
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
            "seconds": round(seconds, 3),
            "steps": [
                {"name": step.name, "seconds": round(step.seconds, 3), "peak_mb": step.peak_mb} for step in steps
            ],
            "host": platform.node(),
            "threads": job.settings.threads,
        },
    )
    write_model(job.record_path(stage.name), record)
    tell(Event(job.case.name, "finished", stage.name, seconds))


def _failure(job: Job, stage: str, error: Exception) -> Failure:
    message = str(error)
    if not isinstance(error, CerebatchError):
        log = job.out_dir / "logs" / f"{job.case.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)))
        message = f"unexpected {type(error).__name__}: {error}. The details are in logs/{log.name}."
    return Failure(case=job.case.name, stage=stage, kind=type(error).__name__, message=message)


def _known_stamps(job: Job) -> dict[str, FileStamp]:
    """Stamps in earlier records, so that bytes are read again only where size or time changed."""
    known: dict[str, FileStamp] = {}
    for stage in ("prepare", "segment"):
        record = read_record(job.record_path(stage))
        if record is not None:
            known |= {role: stamp for role, stamp in record.inputs.items() if isinstance(stamp, FileStamp)}
    return known


def _stamp(path: Path, known: FileStamp | None) -> FileStamp:
    try:
        return FileStamp.of(path, known)
    except OSError as error:
        raise UnreadableScanError(
            path, expected="a file that can be read", found=error.strerror or str(error), do="Check path and rights."
        ) from error


def _provenance(settings: RunSettings, origin: dict[str, Any]) -> dict[str, Any]:
    return {
        **origin,
        "Settings": {"resolution": settings.resolution, "seed": settings.seed},
        "SoftwareVersions": {name: version(name) for name in SOFTWARE},
    }
