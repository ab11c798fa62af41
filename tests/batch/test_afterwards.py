"""What is made after a case is done, such as its page: where its last stage ran, and no case fails for it."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cerebatch.batch.advance import Call, Progress
from cerebatch.batch.cluster.profile import Serial
from cerebatch.batch.engines.stage_process import StageProcess
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.run import run_jobs


def run_with(make_jobs: Any, cohort: ModuleType, how: str) -> tuple[Path, str, list[str]]:
    """Page, status of the case, and what was said of it."""
    job = cohort.SmallJob.with_page(make_jobs(1)[0], how)
    events: list[Event] = []
    (outcome,) = run_jobs([job], Serial(kind="serial"), job.out_dir, events.append)
    return job.afterwards.path, outcome.status, [event.message for event in events if event.what == "said"]


def test_a_page_is_made_once_the_case_is_done(make_jobs: Any, cohort: ModuleType) -> None:
    page, status, said = run_with(make_jobs, cohort, "made")
    assert page.read_text().startswith("page, by")
    assert (status, said) == ("done", [])


@pytest.mark.parametrize(("how", "words"), [("raise", "unexpected ValueError: no colours"), ("told", "no paper")])
def test_a_page_that_fails_is_told_and_fails_no_case(make_jobs: Any, cohort: ModuleType, how: str, words: str) -> None:
    page, status, said = run_with(make_jobs, cohort, how)
    assert not page.exists()
    assert status == "done"
    assert words in said[0]


def test_a_page_that_takes_its_process_with_it_fails_no_case(make_jobs: Any, cohort: ModuleType) -> None:
    first = cohort.SmallJob.with_page(make_jobs(1)[0], "made")
    process, events = StageProcess(), []
    results = []
    try:
        for stage in ("prepare", "atlas", "segment"):
            process.run(Call(first, stage, first.needs()[stage]), events.append)
        for how in ("exit", "made"):
            job = cohort.SmallJob.with_page(first, how)
            results.append(process.run(Call(job, "measure", job.needs()["measure"]), events.append))
    finally:
        process.end()
    assert all(isinstance(result, Progress) and result.failure is None for result in results)
    assert [(result.ran, result.next) for result in results] == [("measure", ""), ("", "")]
    assert "after the case was done: its process ended" in next(e.message for e in events if e.what == "said")
    made_by = first.afterwards.path.read_text().removeprefix("page, by ")
    assert made_by != str(os.getpid())  # where the stages run
