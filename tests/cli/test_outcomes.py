"""Exit statuses: what a script that started a run can tell from them."""

from __future__ import annotations

import pytest

from cerebatch.batch.outcome import Outcome, Status
from cerebatch.cli.options import ELSEWHERE, SOME_FAILED
from cerebatch.cli.outcomes import exit_status


@pytest.mark.parametrize(
    ("statuses", "whole", "expected"),
    [
        (("done", "skipped"), True, 0),
        (("done", "elsewhere"), True, ELSEWHERE),
        (("done", "elsewhere", "failed"), True, SOME_FAILED),
        (("done", "handed back"), True, SOME_FAILED),
        (("done",), False, SOME_FAILED),
        ((), True, 0),
    ],
)
def test_cases_at_work_in_another_run_are_no_success_and_no_failure(
    statuses: tuple[Status, ...], whole: bool, expected: int
) -> None:
    assert exit_status([Outcome(f"sub-{n}", status) for n, status in enumerate(statuses)], whole=whole) == expected


def test_the_status_is_one_that_nothing_else_has() -> None:
    assert ELSEWHERE not in (0, SOME_FAILED, 2, 130)
