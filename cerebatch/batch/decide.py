"""What the driver sees for itself: cases that are done, and those that would fail again. They need no place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cerebatch.batch.advance import clean, look
from cerebatch.batch.job import Job, Needs
from cerebatch.batch.ledger.records import Failure, read_model, write_model
from cerebatch.batch.outcome import Outcome
from cerebatch.errors import CerebatchError

Limits = dict[str, float]


def most_gb(needs: Needs, larger_gb: Callable[[Needs], float | None]) -> float:
    """Memory in GB that a stage could have in a run, if it were tried again for lack of it."""
    while (larger := larger_gb(needs)) is not None:
        needs = replace(needs, memory_gb=larger)
    return needs.memory_gb


def limits_of(needs: Mapping[str, Needs], larger_gb: Callable[[Needs], float | None]) -> dict[str, Limits]:
    """The most memory and time that a run can give each stage, as failures name them."""
    return {
        stage: {"memory_gb": max(need.memory_gb, most_gb(need, larger_gb)), "minutes": need.minutes}
        for stage, need in needs.items()
    }


def settled(job: Job, limits: Mapping[str, Limits], *, retry_failed: bool = False) -> Outcome | None:
    """How a case leaves the run before it begins.

    Parameters
    ----------
    job : Job
    limits : mapping of stage to its limits
        As `limits_of` gives them.
    retry_failed : bool
        Whether to try again what would fail again.

    Returns
    -------
    outcome : Outcome or None
        None: there is something to do, or it has to be seen where the case runs. Scans that no record tells of are not
        read, but for those of a case that failed before.
    """
    failure = None if retry_failed else read_model(job.failure_path, Failure)
    if failure is None and not job.record_path(list(limits)[-1]).exists():
        return None
    if job.lease_path.exists():  # of a run that is at it or was killed: its lease is taken first
        return None
    try:
        to_do, touched = look(job, job.plan())
    except (CerebatchError, OSError):
        return None  # it fails where it runs, and that is written down
    if not to_do:
        for path, record in touched.items():
            with contextlib.suppress(OSError):  # the bytes are read again next time
                write_model(path, record)
        with contextlib.suppress(OSError):
            clean(job)
        return Outcome(job.name, "skipped")
    at = to_do[0]
    if failure is not None and failure.would_repeat(at.name, at.key, limits[at.name]):
        return Outcome(job.name, "failed", failure)
    return None


def is_new(job: Job, stages: Sequence[str]) -> bool:
    """Whether nothing is written down about a case yet."""
    return not any(job.record_path(stage).exists() for stage in stages) and not job.failure_path.exists()
