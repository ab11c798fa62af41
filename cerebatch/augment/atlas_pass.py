"""The atlas channel of each case, as a pass of its own: voted by cases that share nobody with the case's source.

An augmented case is its source in another shape. An atlas that its source's person, twin or head had a vote in would
hand the labels to the network; so these are left out, as for the library's own cases.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cerebatch.atlas.registering import register_cases
from cerebatch.atlas.similar import LeaveOut
from cerebatch.atlas.subject_atlas import DISTANCE_WEIGHT, fuse_cases
from cerebatch.augment.choose import CachedLibrary, open_cached
from cerebatch.augment.make import relay_folder
from cerebatch.batch.cluster.profile import Profile
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger.events import Tell
from cerebatch.batch.outcome import Outcome
from cerebatch.batch.run import run_jobs
from cerebatch.errors import LibraryError
from cerebatch.io.files import require_absolute
from cerebatch.library.augmented.layout import ATLAS, ATLAS_COLUMNS, add_voxels, grid_of, open_set
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.checks import voxels_sha256
from cerebatch.library.layout import array_of, variables, write_column
from cerebatch.library.store import Library
from cerebatch.library.writing import consolidate
from cerebatch.spatial.space import Volume
from cerebatch.timing import Step, StepLog

VERSION = 1
_TOLD = "atlas.json"
_MEMORY_GB = (2.0, 8.0)
"""Of a case at 1 and at 0.5 mm."""


@dataclass(frozen=True)
class AtlasJob(Job):
    """The atlas of one case.

    Attributes
    ----------
    store : Path
    index : int
        Place of the case in the set.
    sha256 : str
        Of the case's voxels.
    source : str
        Library case that it was made from.
    library : Path
    digest : str
        Of the library.
    resolution : float
    count : int
        How many cases vote at most.
    """

    store: Path = field(kw_only=True)
    index: int = field(kw_only=True)
    sha256: str = field(kw_only=True)
    source: str = field(kw_only=True)
    library: Path = field(kw_only=True)
    digest: str = field(kw_only=True)
    resolution: float = field(kw_only=True)
    count: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_absolute(self.store, self.library)

    @property
    def told(self) -> Path:
        """Where it is told who voted."""
        return self.out_dir / "made" / self.name / _TOLD

    def needs(self) -> dict[str, Needs]:
        """One thread, one case a core."""
        return {"atlas": Needs("cpu", 1, _MEMORY_GB[self.resolution < 1])}

    def plan(self) -> list[Stage]:
        """One stage, decided by the case, the library and the number of votes."""
        return [
            Stage(
                "atlas", VERSION, {"case": self.sha256, "library": self.digest}, {"cases": self.count},
                self.told.parent, lambda folder: make_atlas_of(self, folder),
            )
        ]  # fmt: skip


def make_atlas_of(job: AtlasJob, folder: Path) -> list[Step]:
    """Vote for the labels of one case; the map goes into the set, who voted into ``atlas.json``.

    Parameters
    ----------
    job : AtlasJob
    folder : Path
        Exists.

    Returns
    -------
    steps : list of Step

    Raises
    ------
    LibraryError
        Nobody is left to vote, or the library or set cannot be used.
    StageError
        A registration failed.
    """
    log = StepLog()
    with log.step("open"):
        cached = open_cached(job.library, job.digest)
        library = cached.library
        t1w = open_augmented(job.store).image(job.index, "T1w")
    with log.step("select"):
        chosen = voters(t1w, cached, job.source, job.count)
        images = [library.image(index, "T1w") for index in chosen]
    with log.step("register"):
        fields = register_cases(t1w, images, cached.region, job.resolution)
    with log.step("fuse"):
        labels = [library.dseg(index) for index in chosen]
        dseg, _ = fuse_cases(t1w, images, labels, fields, cached.region, DISTANCE_WEIGHT)
    with log.step("write"):
        array_of(open_set(job.store, mode="r+"), ATLAS)[job.index] = dseg
        told = {
            "atlas_cases": ",".join(library.names[index] for index in chosen),
            "atlas_persons": ",".join(sorted({library.persons[index] for index in chosen})),
            "atlas_sha256": voxels_sha256({"atlas": dseg}),
        }
        (folder / _TOLD).write_text(json.dumps(told, indent=1) + "\n")
    return log.steps


def voters(t1w: Volume, cached: CachedLibrary, source: str, count: int) -> list[int]:
    """The most similar cases that share neither person (so neither twin) nor head with the source, nearest first.

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        Of the augmented case.
    cached : CachedLibrary
    source : str
        Name of the library case that it was made from.
    count : int
        How many at most.

    Raises
    ------
    LibraryError
        The source is not in the library, or nobody is left.
    """
    library = cached.library
    if source not in library.names:
        raise LibraryError(
            library.path,
            expected=f"the library that the set was made from, with case {source}",
            found="none of that name",
            do="Give that library.",
        )
    allowed = LeaveOut.of(library, library.names.index(source)).candidates(library)
    if not allowed:
        raise LibraryError(
            library.path,
            expected=f"cases of other people in other heads than those of {source}",
            found="none",
            do="Use a library of more people and heads.",
        )
    distances = cached.similarity.distances(t1w)
    return sorted(allowed, key=lambda index: (distances[index], index))[:count]


@dataclass(frozen=True)
class Cost:
    """What the pass will take.

    Attributes
    ----------
    cases, registrations : int
    seconds : float
        Of one core for one registration, measured on the first case.
    """

    cases: int
    registrations: int
    seconds: float

    def __str__(self) -> str:
        hours = self.registrations * self.seconds / 3600
        return (
            f"{self.cases} cases, {self.registrations} registrations of {self.seconds:.2g} s: {hours:.3g} hours of one "
            "core (--atlas-cases trades it)"
        )


def cost(store: AugmentedSet, library: Library, count: int) -> Cost:
    """What the pass will take, told before it starts; tries one registration.

    Parameters
    ----------
    store : AugmentedSet
    library : Library
    count : int
        Votes a case.
    """
    cached = open_cached(library.path.resolve(), library.digest)
    first = store.usable[0]
    t1w = store.image(first, "T1w")
    (chosen,) = voters(t1w, cached, store.columns["source"][first], 1)
    began = time.perf_counter()
    register_cases(t1w, [library.image(chosen, "T1w")], cached.region, library.resolution)
    seconds = time.perf_counter() - began
    of_source = {
        name: min(count, len(LeaveOut.of(library, library.names.index(name)).candidates(library)))
        for name in {store.columns["source"][index] for index in store.usable}
        if name in library.names
    }
    registrations = sum(of_source.get(store.columns["source"][index], 0) for index in store.usable)
    return Cost(len(store.usable), registrations, seconds)


def jobs_of(store: AugmentedSet, library: Library, count: int, *, work: Path | None = None) -> list[AtlasJob]:
    """One job for each usable case.

    Parameters
    ----------
    store : AugmentedSet
        Its path absolute.
    library : Library
    count : int
        Votes a case.
    work : Path, optional
    """
    out = relay_folder(store.path, "atlas")
    return [
        AtlasJob(
            store.names[index], out, work or out / "work", store=store.path, index=index,
            sha256=store.columns["sha256"][index], source=store.columns["source"][index],
            library=library.path.resolve(), digest=library.digest, resolution=library.resolution, count=count,
        )
        for index in store.usable
    ]  # fmt: skip


def make_atlases(
    jobs: Sequence[AtlasJob], profile: Profile, tell: Tell, *, profile_name: str = "", retry_failed: bool = False
) -> tuple[Outcome, ...]:
    """Make the atlases of a set, or go on making them; the channel counts as there when none is missing.

    Parameters
    ----------
    jobs : sequence of AtlasJob
    profile : Profile
    tell : callable
        Gets every `Event`.
    profile_name : str
    retry_failed : bool

    Raises
    ------
    LibraryError
        The set has atlases of another library or another number of votes.
    """
    first = jobs[0]
    _begin(first)
    outcomes = tuple(run_jobs(jobs, profile, first.out_dir, tell, profile_name=profile_name, retry_failed=retry_failed))
    if len(outcomes) == len(jobs) and all(outcome.status in ("done", "skipped") for outcome in outcomes):
        _finish(first.store, {job.index: json.loads(job.told.read_text()) for job in jobs})
    return outcomes


def _begin(job: AtlasJob) -> None:
    group = open_set(job.store, mode="r+")
    attributes: dict[str, Any] = dict(group.attrs)
    wanted: dict[str, Any] = {"library_digest": job.digest, "cases": job.count}
    begun = {key: attributes.get(ATLAS, {}).get(key) for key in wanted}
    if begun == wanted:
        return
    if ATLAS in attributes:
        raise LibraryError(
            job.store,
            expected=f"no atlases, or those of {job.count} cases of this library",
            found=f"atlases of {begun['cases']} cases, library {str(begun['library_digest'])[:12]}",
            do=f"Go on as they were begun, or make the set anew under another name for {job.count} cases.",
        )
    dimensions, shape, dtype = variables(grid_of(group))["dseg"]
    add_voxels(group, ATLAS, array_of(group, "dseg").shape[0], dimensions, shape, dtype)
    group.attrs.update({ATLAS: wanted | {"complete": False}})
    consolidate(job.store)


def _finish(store: Path, told: dict[int, dict[str, str]]) -> None:
    group = open_set(store, mode="r+")
    cases = array_of(group, "dseg").shape[0]
    for name, dtype in ATLAS_COLUMNS.items():
        write_column(group, name, "case", dtype, [told.get(index, {}).get(name, "") for index in range(cases)])
    attributes: dict[str, Any] = dict(group.attrs)
    group.attrs.update({ATLAS: attributes[ATLAS] | {"complete": True}})
    consolidate(store)
