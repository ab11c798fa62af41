"""Build a library: every lobule map in every head, and the mirrored twin of each case.

A build goes on where it was stopped: fits lie in a folder beside the store until the store is finished, and cases
that the store holds already are not made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from cerebatch.building.compose import compose
from cerebatch.building.fit import Fit, LobuleMap, fit, read_lobule_map
from cerebatch.building.fit_file import read_fit, write_fit
from cerebatch.building.head import Head, read_head
from cerebatch.building.own_scan import OwnScan, find_own_scans, make_own_case
from cerebatch.errors import CerebatchError, InputError, LibraryError
from cerebatch.labels import WHITE_MATTER
from cerebatch.library import writing
from cerebatch.library.case import LabelledCase, mirrored_pair, twin_name
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.tissues import TISSUES, rendered
from cerebatch.measures.borders import visible_share
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.space import cerebellum_box

LICENCE = (
    "Made from lobule maps under CC BY-NC-SA 4.0 (CoBrALab/atlases) and head maps under Apache-2.0 (SynthSeg): "
    "CC BY-NC-SA 4.0."
)

_ENDINGS = (".nii.gz", ".nii", ".mnc")

Tell = Callable[[str], None]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Plan:
    """What a library is made from.

    Attributes
    ----------
    maps, heads : tuple of Path
        Lobule maps and head maps.
    scans : Path or None
        Folder with T1w and T2w scans of the maps' own people.
    cases : int or None
        How many pairs of map and head; all of them without it. Twins are not counted.
    resolution : float
        Voxel edge of the box in millimetres.
    seed : int
        Of the registration of the heads.
    """

    maps: tuple[Path, ...]
    heads: tuple[Path, ...]
    scans: Path | None
    cases: int | None
    resolution: float
    seed: int


def label_maps(folder: Path) -> tuple[Path, ...]:
    """The label maps of a folder, in the order of their names.

    Raises
    ------
    InputError
        There are none.
    """
    found = tuple(sorted(path for ending in _ENDINGS for path in folder.glob(f"*{ending}")))
    if not found:
        raise InputError(
            folder,
            expected="label maps (*.nii.gz, *.nii or *.mnc)",
            found="none" if folder.is_dir() else "no such folder",
            do="Give the folder that holds them.",
        )
    return found


def build(path: Path, plan: Plan, *, processes: int, tell: Tell) -> None:
    """Make the library, or go on making it.

    Parameters
    ----------
    path : Path
        The store, ``.zarr``.
    plan : Plan
    processes : int
        Cases made at a time.
    tell : callable
        Gets a line about whatever happens; maps, heads and pairs that cannot be used are left out and told.

    Raises
    ------
    LibraryError
        The store is finished already or was begun with other cases; or a case could not be made.
    InputError
        No case can be made from what was given.
    """
    if path.exists():
        writing.require_unfinished(path)
    fits = path.with_name(f"{path.name}.fits")
    fits.mkdir(parents=True, exist_ok=True)
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=ants_bridge.use_one_thread) as pool:
        maps, _ = _gather({p.name: pool.submit(read_lobule_map, p) for p in plan.maps}, "read", tell)
        for lobules in maps.values():
            if lobules.dropped:
                tell(f"warning: {lobules.name}: voxels of codes outside the protocol were dropped: {lobules.dropped}")
        heads, _ = _gather({p.name: pool.submit(read_head, p, seed=plan.seed) for p in plan.heads}, "read", tell)
        pairs = {f"{lobules.name}_{head.name}": (lobules, head) for lobules, head in _pairs(maps, heads, plan.cases)}
        placed, _ = _gather(
            {k: pool.submit(_fit, fits / f"{k}.npz", *pair) for k, pair in pairs.items()}, "fitted", tell
        )
        own = {} if plan.scans is None else find_own_scans(plan.scans, list(maps.values()))
        names = [*(name for name in pairs if name in placed), *own]
        if not names:
            raise InputError(
                plan.heads[0].parent, expected="a lobule map and a head that fit", found="none", do="See what was told."
            )
        done = _begin(path, [twin for name in names for twin in (name, twin_name(name))], plan)
        jobs: dict[str, Future[None]] = {}
        for index, name in enumerate(names):
            if {name, twin_name(name)} <= done:
                continue
            if name in own:
                jobs[name] = pool.submit(_make_own, path, 2 * index, own[name], plan)
            else:
                jobs[name] = pool.submit(_make, path, 2 * index, name, *pairs[name], placed[name], plan)
        _, failed = _gather(jobs, "made", tell)
    if failed:
        raise LibraryError(
            path,
            expected=f"{len(names)} cases and their twins",
            found="; ".join(f"{name}: {error}" for name, error in failed.items()),
            do="Leave out their lobule map or head, delete the store, and build again: the fits are kept.",
        )
    writing.finish(path)
    shutil.rmtree(fits)


def _gather(
    jobs: dict[str, Future[_Result]], verb: str, tell: Tell
) -> tuple[dict[str, _Result], dict[str, CerebatchError]]:
    """Wait for the jobs; those that fail on purpose are told and left out."""
    names = {job: name for name, job in jobs.items()}
    results: dict[str, _Result] = {}
    failures: dict[str, CerebatchError] = {}
    for number, job in enumerate(as_completed(names), start=1):
        name = names[job]
        try:
            results[name] = job.result()
        except CerebatchError as error:
            failures[name] = error
            tell(f"left out: {name}: {error}")
        else:
            tell(f"{verb} {name} ({number} of {len(jobs)})")
    # In the order of the jobs, not of their ends.
    return {name: results[name] for name in jobs if name in results}, failures


def _pairs(maps: dict[str, LobuleMap], heads: dict[str, Head], cases: int | None) -> list[tuple[LobuleMap, Head]]:
    """Each map in each head; whatever their number, the first pairs spread over both."""
    ordered = list(maps.values())
    spread = [
        (ordered[(shift + k) % len(ordered)], head)
        for shift in range(len(ordered))
        for k, head in enumerate(heads.values())
    ]
    return spread[:cases]


def _begin(path: Path, names: list[str], plan: Plan) -> set[str]:
    """Create the store, or see what an earlier build left in it."""
    if not path.exists():
        writing.create(path, names, plan.resolution, seed=plan.seed, licence=LICENCE)
        return set()
    return writing.resume(path, names, plan.resolution)


def _fit(kept: Path, lobules: LobuleMap, head: Head) -> Fit:
    if (found := read_fit(kept)) is not None:
        return found
    made = fit(lobules, head)
    write_fit(kept, made)
    return made


def _make(path: Path, index: int, name: str, lobules: LobuleMap, head: Head, placed: Fit, plan: Plan) -> None:
    made = compose(lobules, head, placed, plan.resolution)
    fractions = {tissue: share.astype(np.float32) / 255 for tissue, share in zip(TISSUES, made.tissue, strict=True)}
    case = LabelledCase(
        name=name,
        person=lobules.name,
        head=head.name,
        twin="",
        mirrored=False,
        rendered=True,
        overlap=placed.overlap,
        visible_share=visible_share(made.lobules, np.isin(made.dseg, WHITE_MATTER), cerebellum_box(plan.resolution)),
        sources=(lobules.file_name, head.file_name),
        image=np.stack([rendered(fractions, contrast) for contrast in CONTRASTS]),
        tissue=made.tissue,
        dseg=made.dseg,
        lobules=made.lobules,
    )
    _write(path, index, case)


def _make_own(path: Path, index: int, scan: OwnScan, plan: Plan) -> None:
    _write(path, index, make_own_case(scan, plan.resolution, plan.seed))


def _write(path: Path, index: int, case: LabelledCase) -> None:
    for offset, one in enumerate(mirrored_pair(case)):
        writing.write_case(path, index + offset, one)
