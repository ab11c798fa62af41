"""A run: its manifest, its engines, its relay, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from cerebatch.batch.cluster.profile import Local, Profile, require_fit
from cerebatch.batch.decide import Limits, limits_of, settled
from cerebatch.batch.engines.launch import WarmUp, engines, private_folder
from cerebatch.batch.job import KNOWN_STAGES, Job, Needs
from cerebatch.batch.ledger.events import Event, Tell
from cerebatch.batch.ledger.manifest import End, Manifest, begin, finish, runs_folder
from cerebatch.batch.outcome import Outcome, Status
from cerebatch.batch.runner import Relay
from cerebatch.io.process import this_process

INTERRUPTED = 130
"""Exit status of a run that was stopped twice."""


def run_jobs(
    jobs: Sequence[Job],
    profile: Profile,
    out_dir: Path,
    tell: Tell,
    *,
    profile_name: str = "",
    left_out: Mapping[str, str] | None = None,
    retry_failed: bool = False,
    warm_up: WarmUp | None = None,
) -> Iterator[Outcome]:
    """Run cases, in whatever order they finish.

    Ctrl-C once: nothing more is handed out, what is at work has 20 s to end its stage, the rest is handed back.
    Twice: the process ends at once; what it started ends with it.

    Parameters
    ----------
    jobs : sequence of Job
    profile : Profile
    out_dir : Path
        Gets records and logs.
    tell : callable
        Gets every `Event`.
    profile_name : str
        For the manifest.
    left_out : mapping, optional
        Name of what is no case of the run -> why; for the manifest.
    retry_failed : bool
        Try again what failed before, with the same inputs and settings.
    warm_up : callable, optional
        What each actor does before its first call: load networks.

    Yields
    ------
    outcome : Outcome
        One a case; a case that fails stops no other.

    Raises
    ------
    SettingsError
        The profile has no place large enough for a stage.
    """
    if not jobs:
        return
    if isinstance(profile, Local):
        profile = profile.measured()
    needs = profile.adjusted(jobs[0].needs(), also=KNOWN_STAGES)
    require_fit(profile, needs)
    manifest = Manifest(
        **this_process().model_dump(),
        command=sys.argv,
        profile=profile_name,
        stages=list(needs),
        cases=[job.name for job in jobs],
        left_out=dict(left_out or {}),
    )
    relay = Relay(
        needs,
        manifest.run,
        tell,
        own_needs=partial(own_needs, profile),
        larger_gb=profile.larger_gb,
        lease_seconds=profile.lease_seconds,
        retry_failed=retry_failed,
    )
    begin(out_dir, manifest)
    ended = threading.Event()
    keeper = threading.Thread(target=relay.keep_leases, args=[ended], name="leases", daemon=True)
    keeper.start()
    counts: Counter[Status] = Counter()
    whole = False
    with _stopped_by_signals(relay, private_folder(runs_folder(out_dir), manifest.run)):
        try:
            left: list[Job] = []
            for outcome in _settled(jobs, limits_of(needs, profile.larger_gb), left, relay, tell, again=retry_failed):
                counts[outcome.status] += 1
                yield outcome
            if left:
                with engines(profile, needs, manifest.run, runs_folder(out_dir), relay.hear, warm_up) as places:
                    for outcome in relay.carry(left, places):
                        counts[outcome.status] += 1
                        yield outcome
            whole = not relay.stopping
        finally:
            ended.set()
            keeper.join()
            relay.release_all()
            finish(out_dir, manifest.run, _end(counts, whole))


def _settled(
    jobs: Sequence[Job], limits: Mapping[str, Limits], left: list[Job], relay: Relay, tell: Tell, *, again: bool
) -> Iterator[Outcome]:
    """Cases for which nothing need be started; the others are added to `left`."""
    for job in jobs:
        outcome = None if relay.stopping else settled(job, limits, retry_failed=again)
        if outcome is None:
            left.append(job)
            continue
        stage, why = (outcome.failure.stage, outcome.failure.message) if outcome.failure else ("", "")
        tell(Event(job.name, "failed" if outcome.failure else "skipped", stage, message=why))
        yield outcome


def own_needs(profile: Profile, job: Job, stage: str, need: Needs) -> Needs:
    """What a stage of one case needs: more memory than usual where its scan is large.

    A profile that says how much a stage gets has the last word; and nobody gets more than a place here has, for the
    stage would wait for ever.

    Parameters
    ----------
    profile : Profile
    job : Job
    stage : str
    need : Needs
        Of the stage in this run.
    """
    if stage in profile.stages and profile.stages[stage].memory_gb is not None:
        return need
    more = min(job.memory_gb(stage), profile.largest_gb(need))
    return replace(need, memory_gb=more) if more > need.memory_gb else need


def _end(counts: Counter[Status], whole: bool) -> End:
    return End(
        how="finished" if whole else "interrupted",
        done=counts["done"],
        skipped=counts["skipped"],
        failed=counts["failed"],
        elsewhere=counts["elsewhere"],
        handed_back=counts["handed back"],
    )


@contextmanager
def _stopped_by_signals(relay: Relay, secrets: Path) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP stop the relay, a second one the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            shutil.rmtree(secrets, ignore_errors=True)
            os._exit(INTERRUPTED)
        relay.stop(signal.Signals(number).name)
        # Not told from here: a signal may come in the middle of another word.
        relay.hear_later(
            Event("", "said", message="stopping: what is at work has 20 s to end its stage; once more stops at once")
        )

    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
