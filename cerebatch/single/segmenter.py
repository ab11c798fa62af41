"""One scan after the other through the stages, in a process of their own.

A fresh process, for ITK reads its number of threads at its first use: where `ants` was imported before, in a notebook,
it is too late here. It keeps the networks, so that several scans load them once; what goes wrong in it costs the scan
and not the caller.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from cerebatch import errors
from cerebatch.batch.advance import Call
from cerebatch.batch.case import CaseJob
from cerebatch.batch.derivatives import write_description
from cerebatch.batch.engines.base import EngineFailure
from cerebatch.batch.engines.stage_process import StageProcess
from cerebatch.batch.job import Needs
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.ledger.records import Failure, read_record
from cerebatch.errors import CerebatchError, DatasetError, StageError
from cerebatch.io.bids import Case
from cerebatch.io.stamp import FileStamp
from cerebatch.stages.settings import RunSettings

_ALL_GB, _ALL_MINUTES = 1e6, 1e6
"""One scan may take what the machine has."""

Tell = Callable[[Event], None]


class Segmenter:
    """Segments scans with the same settings; a context.

    Parameters
    ----------
    settings : RunSettings
        Its paths absolute.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self._process = StageProcess()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.end()

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that a scan goes through, in order."""
        wanted = ("prepare", "atlas", "segment", "measure")
        return tuple(stage for stage in wanted if stage != "atlas" or self.settings.library is not None)

    def run(self, case: Case, out: Path, tell: Tell = lambda event: None) -> Path:
        """Write everything of one scan, as `cerebatch run` does; what is there already is not made again.

        Parameters
        ----------
        case : Case
        out : Path
            Absolute; made where it is not there.
        tell : callable
            Gets an `Event` when a stage starts and when it has finished.

        Returns
        -------
        folder : Path
            That holds ``anat/`` and ``figures/``.

        Raises
        ------
        DatasetError
            The folder has another scan under this name.
        StageError
            A stage ran and what it made cannot be trusted, or its process ended.
        CerebatchError
            Whatever else a stage refuses.
        """
        job = CaseJob(case.name, out, out / "work", case=case, settings=self.settings)
        _refuse_other_scan(job)
        write_description(out, case.t1w)
        needs = Needs("cpu", self.settings.threads, _ALL_GB, _ALL_MINUTES)
        call = Call(job, self.stages[0], needs, retry_failed=True)
        try:
            while True:
                result = self._process.run(call, tell)
                if isinstance(result, EngineFailure):
                    raise StageError(f"{case.name}: {result.stage}: {result.message}")
                if result.failure is not None:
                    raise _raised(job, result.failure)
                if not result.next:
                    return out / case.folder.parent
                call = replace(call, stage=result.next)
        finally:
            for folder in (job.scratch, job.work_dir):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _refuse_other_scan(job: CaseJob) -> None:
    """Results of one scan are not written over those of another that happens to have the same name."""
    record = read_record(job.record_path("prepare"))
    stamp = record.inputs.get("T1w") if record is not None else None
    if isinstance(stamp, FileStamp) and FileStamp.of(job.case.t1w, stamp).sha256 != stamp.sha256:
        raise DatasetError(
            job.out_dir,
            expected=f"no results of another scan under the name {job.name}",
            found="such results",
            do="Give another folder for the results, or another name.",
        )


def _raised(job: CaseJob, failure: Failure) -> CerebatchError:
    """The error that a failure tells of; what nobody foresaw brings the log of the case as a note."""
    kind = getattr(errors, failure.kind, None)
    if isinstance(kind, type) and issubclass(kind, CerebatchError):
        # Those of inputs hold more than words: their kind is lost.
        return (StageError if issubclass(kind, errors.InputError) else kind)(failure.message)
    error = StageError(f"{failure.case}: {failure.stage}: {failure.message}")
    with contextlib.suppress(OSError):
        error.add_note(job.log_path.read_text(errors="replace"))
    return error
