"""`cerebatch run --dry-run`: what would be done, what it takes, and what would fail again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cerebatch.cli.options import say

if TYPE_CHECKING:
    from cerebatch.batch.cluster.profile import Profile
    from cerebatch.batch.job import Job
    from cerebatch.io.bids import Problem


def tell_plan(
    jobs: Sequence[Job],
    problems: Sequence[Problem],
    profile: Profile,
    out: Path,
    console: Console,
    *,
    retry_failed: bool = False,
) -> None:
    """Print the stages of each case and, last, totals and an estimate.

    Parameters
    ----------
    jobs : sequence of Job
    problems : sequence of Problem
        What is left out.
    profile : Profile
    out : Path
        Whose records tell what is done and how long stages took.
    console : Console
    retry_failed : bool
        Whether the run would try known failures again.
    """
    from cerebatch.batch.job import KNOWN_STAGES
    from cerebatch.batch.reporting.plan import estimate, plan_of

    needs = profile.adjusted(jobs[0].needs(), also=KNOWN_STAGES) if jobs else {}
    plan = plan_of(jobs, needs, profile, retry_failed=retry_failed)
    lines = [f"{case}: {', '.join(stages) or 'nothing, it is done'}" for case, stages in plan.to_do.items()]
    lines += [f"{case}: cannot run: {why}" for case, why in plan.refused.items()]
    lines += [f"{problem.name}: left out: {problem.reason}" for problem in problems]
    lines += [
        f"{case}: failed before in {failure.stage} and is not tried again without --retry-failed: {failure.message}"
        for case, failure in plan.known.items()
    ]
    to_do = len(plan.to_do) - plan.done
    lines.append(
        f"{len(jobs)} cases: {to_do} to do, {plan.done} done, {len(plan.known)} failed before, "
        f"{len(plan.refused)} cannot run; {len(problems)} left out"
    )
    if to_do:
        lines.append("stages to run: " + ", ".join(f"{stage} {count}" for stage, count in plan.times.items()))
        took = estimate(plan, out, needs, profile)
        words = (
            f"about {took.core_hours:.1f} core-hours, {took.hours:.1f} hours once all places of the profile are there"
        )
        if took.records:
            lines.append(f"{words} (by {took.records} records in {out})")
        if took.unknown:
            lines.append(f"no estimate for {', '.join(took.unknown)}: no record in {out} tells yet what they take")
    for line in lines:
        say(console, line)
