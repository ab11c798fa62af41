"""What a run would do, seen without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.cluster.profile import Local, Serial
from cerebatch.batch.ledger.records import FileStamp, read_record, write_model
from cerebatch.batch.reporting.plan import estimate, plan_of
from cerebatch.batch.run import run_jobs

SERIAL = Serial(kind="serial")
STAGES = ("prepare", "atlas", "segment", "measure")


def planned(jobs: Any, *, retry_failed: bool = False) -> Any:
    return plan_of(jobs, jobs[0].needs(), SERIAL, retry_failed=retry_failed)


def test_a_scan_of_a_new_case_is_not_read(make_jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = FileStamp.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        FileStamp, "of", classmethod(lambda cls, path, known=None: read.append(path) or real(cls, path, known))
    )
    plan = planned(make_jobs(3))
    assert plan.to_do == dict.fromkeys(("sub-00000", "sub-00001", "sub-00002"), STAGES)
    assert read == []


def test_what_is_done_and_what_would_fail_again_is_told_apart(make_jobs: Any) -> None:
    jobs = make_jobs(3, "1:atlas:refuse")
    list(run_jobs(jobs[:2], SERIAL, jobs[0].out_dir, lambda event: None))
    plan = planned(jobs)
    assert plan.to_do == {"sub-00000": (), "sub-00002": STAGES}
    assert (plan.done, plan.times["atlas"]) == (1, 1)
    assert plan.known["sub-00001"].message == "made to fail"
    assert planned(jobs, retry_failed=True).to_do["sub-00001"] == STAGES[1:]


def test_the_estimate_is_that_of_earlier_records(make_jobs: Any) -> None:
    jobs = make_jobs(5)
    list(run_jobs(jobs[:1], SERIAL, jobs[0].out_dir, lambda event: None))
    for stage in STAGES:
        record = read_record(jobs[0].record_path(stage))
        assert record is not None
        write_model(jobs[0].record_path(stage), record.model_copy(update={"information": {"seconds": 900.0}}))
    plan, needs = planned(jobs), jobs[0].needs()
    alone = estimate(plan, jobs[0].out_dir, needs, SERIAL)
    assert (alone.core_hours, alone.hours, alone.unknown) == (4.0, 4.0, ())  # four cases of four quarters of an hour
    assert estimate(plan, jobs[0].out_dir, needs, Local(kind="local", cores=2, memory_gb=4.0)).hours == 2.0


def test_what_no_record_tells_is_named(make_jobs: Any) -> None:
    jobs = make_jobs(2)
    none = estimate(planned(jobs), jobs[0].out_dir, jobs[0].needs(), SERIAL)
    assert (none.core_hours, none.records, none.unknown) == (0.0, 0, STAGES)
