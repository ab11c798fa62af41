"""The driver: a set for a known list of targets, filled by the relay, gathered when the relay has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cerebatch.augment.job import AugmentJob, gather
from cerebatch.augment.registration import Registration
from cerebatch.augment.targets import Targets
from cerebatch.augment.writing import create, finish
from cerebatch.batch.cluster.profile import Profile
from cerebatch.batch.ledger.events import Tell
from cerebatch.batch.outcome import Outcome
from cerebatch.batch.run import run_jobs
from cerebatch.errors import LibraryError, SettingsError
from cerebatch.library.layout import open_store
from cerebatch.library.store import Library


@dataclass(frozen=True)
class Made:
    """How a run of `make` ended.

    Attributes
    ----------
    outcomes : tuple of Outcome
        One a target.
    digest : str
        Of the finished set; empty where the run was stopped, and the same call goes on.
    """

    outcomes: tuple[Outcome, ...]
    digest: str


def relay_folder(store: Path, what: str = "cases") -> Path:
    """Where the relay keeps records, logs and intermediate files of a set, beside it.

    Parameters
    ----------
    store : Path
    what : {"cases", "atlas"}
    """
    return store.with_name(f"{store.name}.relay") / what


def jobs_of(
    library: Library,
    targets: Targets,
    store: Path,
    *,
    seed: int,
    work: Path | None = None,
    keep_work: bool = False,
    keep_set_aside: bool = False,
    hold_out: Sequence[str] = (),
    registration: Path | None = None,
) -> list[AugmentJob]:
    """One job a target, in the order of the set.

    Parameters
    ----------
    library : Library
    targets : Targets
    store : Path
        The set, absolute.
    seed : int
    work : Path, optional
        Intermediate files; beside the set without it.
    keep_work, keep_set_aside : bool
    hold_out : sequence of str
        People and heads of the library whose cases are not bent, such as those that networks are tested on.
    registration : Path, optional
        Weights of the registration network; without them greedy registers.

    Raises
    ------
    WeightsError
        The weights cannot register at the library's resolution.
    SettingsError
        A name that is no person and no head of the library.
    """
    known = {*library.persons, *library.heads}
    if strangers := sorted(set(hold_out) - known):
        raise SettingsError(
            f"hold out {', '.join(strangers)}: expected people or heads of {library.path}, which has "
            f"{', '.join(sorted(known))}. Give some of these."
        )
    tool = Registration(library.resolution, registration)
    tool.require()
    out = relay_folder(store)
    return [
        AugmentJob(
            target.name, out, work or out / "work", keep_work, target=target, store=store, index=index,
            library=library.path.resolve(), digest=library.digest, registration=tool, seed=seed,
            keep_set_aside=keep_set_aside, hold_out=tuple(sorted(hold_out)),
        )
        for index, target in enumerate(targets.found)
    ]  # fmt: skip


def make(
    jobs: Sequence[AugmentJob],
    library: Library,
    profile: Profile,
    tell: Tell,
    *,
    profile_name: str = "",
    left_out: dict[str, str] | None = None,
    retry_failed: bool = False,
) -> Made:
    """Make a set, or go on making it; what is done is not done again.

    Parameters
    ----------
    jobs : sequence of AugmentJob
        All targets of the set.
    library : Library
    profile : Profile
    tell : callable
        Gets every `Event`.
    profile_name : str
    left_out : dict, optional
        Name of what is no target -> why.
    retry_failed : bool

    Raises
    ------
    LibraryError
        Another set is at the path, or the set is gone and its records are not.
    SettingsError
        The profile has no place large enough.
    """
    first = jobs[0]
    if not first.store.exists() and (first.out_dir / "made").exists():
        raise LibraryError(
            first.store,
            expected=f"the set that the records in {first.out_dir.parent} tell of",
            found="none",
            do="Delete that folder to begin anew, or bring the set back.",
        )
    create(
        first.store,
        [job.name for job in jobs],
        library.resolution,
        library=library.path.name,
        library_digest=library.digest,
        licence=str(open_store(library.path).attrs["licence"]),
        seed=first.seed,
        keep_set_aside=first.keep_set_aside,
        hold_out=list(first.hold_out),
        **first.registration.told(),
    )
    outcomes = tuple(
        run_jobs(
            jobs, profile, first.out_dir, tell, profile_name=profile_name, left_out=left_out, retry_failed=retry_failed
        )
    )
    told = gather(jobs)
    failed = {outcome.case: outcome.failure.message for outcome in outcomes if outcome.failure is not None}
    if len(outcomes) < len(jobs) or any(outcome.status in ("handed back", "elsewhere") for outcome in outcomes):
        return Made(outcomes, "")
    reasons = {job.index: failed[job.name] for job in jobs if job.name in failed}
    # What an earlier run made of a case that fails now, as when its scan has changed, is no longer true.
    told = {index: told[index] for index in told if index not in reasons}
    return Made(outcomes, finish(first.store, told, reasons))
