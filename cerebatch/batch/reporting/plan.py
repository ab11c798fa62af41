"""What a run would do, seen without running anything, and about how long that takes by what stages took before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cerebatch.batch.advance import missing
from cerebatch.batch.cluster.profile import Cluster, Local, Profile
from cerebatch.batch.decide import is_new, limits_of
from cerebatch.batch.job import Job, Needs
from cerebatch.batch.ledger.records import Failure, read_model, read_record
from cerebatch.errors import CerebatchError

_ENOUGH = 200
"""Records of a stage that tell what it takes."""


@dataclass
class Plan:
    """What a run would do.

    Attributes
    ----------
    to_do : dict
        Case -> stages that are missing, in order; empty where it is done.
    known : dict
        Case -> its failure, which would come again and is not tried again.
    refused : dict
        Case -> why it cannot run, in words.
    """

    to_do: dict[str, tuple[str, ...]] = field(default_factory=dict)
    known: dict[str, Failure] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def times(self) -> Counter[str]:
        """How often each stage would run."""
        return Counter(stage for stages in self.to_do.values() for stage in stages)

    @property
    def done(self) -> int:
        """Cases with nothing to do."""
        return sum(not stages for stages in self.to_do.values())


def plan_of(jobs: Sequence[Job], needs: Mapping[str, Needs], profile: Profile, *, retry_failed: bool) -> Plan:
    """Look at what is written down about cases; of one without records everything is to do, and its scan is not read.

    Parameters
    ----------
    jobs : sequence of Job
    needs : mapping of stage to Needs
        As the profile adjusts them.
    profile : Profile
    retry_failed : bool
        Whether the run would try known failures again.
    """
    plan, limits = Plan(), limits_of(needs, profile.larger_gb)
    for job in jobs:
        if is_new(job, list(needs)):
            plan.to_do[job.name] = tuple(needs)
            continue
        try:
            stages = missing(job, job.plan())
        except CerebatchError as error:
            plan.refused[job.name] = str(error)
            continue
        failure = read_model(job.failure_path, Failure) if stages and not retry_failed else None
        if failure is not None and failure.would_repeat(stages[0].name, stages[0].key, limits[stages[0].name]):
            plan.known[job.name] = failure
        else:
            plan.to_do[job.name] = tuple(stage.name for stage in stages)
    return plan


@dataclass(frozen=True)
class Estimate:
    """What the rest of a run takes.

    Attributes
    ----------
    core_hours : float
        Of stages whose earlier times are known.
    hours : float
        By the clock, once everything that the profile asks for has arrived.
    records : int
        That it was told from.
    unknown : tuple of str
        Stages to do of which there is no record yet.
    """

    core_hours: float
    hours: float
    records: int
    unknown: tuple[str, ...]


def estimate(plan: Plan, out_dir: Path, needs: Mapping[str, Needs], profile: Profile) -> Estimate:
    """Tell from records in OUT_DIR what a plan takes.

    Parameters
    ----------
    plan : Plan
    out_dir : Path
    needs : mapping of stage to Needs
        As the profile adjusts them.
    profile : Profile
    """
    times, core_seconds, by_kind, records = plan.times, 0.0, dict.fromkeys(("cpu", "gpu"), 0.0), 0
    unknown = []
    for stage, need in needs.items():
        took = _took(out_dir, stage) if times[stage] else []
        records += len(took)
        if times[stage] and not took:
            unknown.append(stage)
        elif took:
            seconds = times[stage] * sum(took) / len(took)
            core_seconds += seconds * need.threads
            by_kind[need.kind] += seconds * (need.threads if need.kind == "cpu" else 1)
    cores, actors = _places(profile, needs)
    return Estimate(
        core_seconds / 3600, max(by_kind["cpu"] / cores, by_kind["gpu"] / actors) / 3600, records, tuple(unknown)
    )


def _took(out_dir: Path, stage: str) -> list[float]:
    """Seconds that a stage took in some cases."""
    paths = (out_dir / "records" / "cases").glob(f"*/{stage}.json")
    found = (read_record(path) for path in islice(paths, _ENOUGH))
    seconds = (record.information.get("seconds") for record in found if record is not None)
    return [float(one) for one in seconds if isinstance(one, int | float)]


def _places(profile: Profile, needs: Mapping[str, Needs]) -> tuple[int, int]:
    """Cores for CPU stages, and actors."""
    if isinstance(profile, Cluster):
        gpu = profile.gpu
        return sum(one.jobs * one.cores for one in profile.workers), gpu.jobs * gpu.actors if gpu else 1
    if isinstance(profile, Local):
        return profile.usable_cores(needs), profile.actors
    return 1, 1
