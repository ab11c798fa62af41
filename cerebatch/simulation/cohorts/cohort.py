"""Simulated people as a BIDS dataset, with what is true of them beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cerebatch.errors import SettingsError
from cerebatch.io.atomic import write_text
from cerebatch.io.bids import Case, output_name
from cerebatch.io.files import write_image, write_label_table, write_rows
from cerebatch.measures.volumes import counted_cm3, table
from cerebatch.simulation.cohorts.descriptions import cohort_description, write_descriptions
from cerebatch.simulation.cohorts.people import Person
from cerebatch.simulation.cohorts.resume import require_same
from cerebatch.simulation.cohorts.scanners import Scanner, scanner_of
from cerebatch.simulation.cohorts.source import Simulated, Source
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial import space

TRUTH = "derivatives/simulated-truth"
"""Where the truth lies inside the dataset."""

VOLUMES = "seg-lobules_volumes.tsv"
"""Table of the true volumes, in the columns of `run` with a participant in each row."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Task:
    """What a process needs to make and write one person; the source came before."""

    root: Path
    person: Person
    scanner: Scanner
    seed: int

    @property
    def truth(self) -> Path:
        return self.root / TRUTH / self.person.name / "anat"

    @property
    def volumes(self) -> Path:
        """Table of this person's true volumes; it is written last, so that who has one is done."""
        return self.truth / f"{self.person.name}_{VOLUMES}"


def write_simulated(
    out_dir: Path | str,
    people: Sequence[Person],
    source: Source,
    seed: int,
    *,
    voxel_mm: float = 1.0,
    processes: int = 1,
    tell: Tell | None = None,
) -> None:
    """Make, scan and write people, or go on where an earlier call was killed; who is done is not made again.

    Parameters
    ----------
    out_dir : Path or str
        Made where missing; empty, or with the same cohort in it, begun with as many people or fewer.
    people : sequence of Person
    source : Source
    seed : int
        The same seed gives the same bytes, whatever the number of processes; person k is the same in a cohort of any
        size.
    voxel_mm : float
        Edge of the voxels; each site's differ a little from it.
    processes : int
        People at a time.
    tell : callable, optional
        Hears how far it is, from time to time.

    Raises
    ------
    DatasetError
        The folder holds something else already.
    SettingsError
        There are no people.
    """
    root = Path(out_dir).absolute()
    if not people:
        raise SettingsError("no people: expected at least one. Give a larger --people.")
    description = cohort_description(source, seed, voxel_mm)
    participants = [_participant(person, source.made_from(person, seed)) for person in people]
    require_same(root, description, participants)
    scanners = {site: scanner_of(site, seed, voxel_mm) for site in sorted({person.site for person in people})}
    truth = root / TRUTH
    write_descriptions(root, truth, description, source)
    write_rows(root / "participants.tsv", participants)
    write_rows(truth / "scanners.tsv", (scanner.row() for scanner in scanners.values()))
    case, box = template_case(1.0)
    write_image(truth / f"tpl-{space.TEMPLATE_SPACE}_seg-lobules_res-1_dseg.nii.gz", case, box, "MNI")
    write_label_table(truth / "seg-lobules_dseg.tsv")

    tasks = [_Task(root, person, scanners[person.site], seed) for person in people]
    missing = [task for task in tasks if not task.volumes.exists()]
    there = len(tasks) - len(missing)
    if missing:
        (truth / VOLUMES).unlink(missing_ok=True)
    if there and tell is not None:
        tell(f"{there} of {len(tasks)} people were there already")
    with _made(missing, source, processes) as made:
        for number, _ in enumerate(made, start=there + 1):
            if tell is not None and (number % 100 == 0 or number == len(tasks)):
                tell(f"{number} of {len(tasks)} people")
    (heading, *first), *others = (task.volumes.read_text().splitlines(keepends=True) for task in tasks)
    write_text(truth / VOLUMES, "".join([heading, *first, *(line for _, *lines in others for line in lines)]))


@contextmanager
def _made(tasks: list[_Task], source: Source, processes: int) -> Iterator[Iterator[None]]:
    """Something for each person, in order, once it is written."""
    if processes == 1 or len(tasks) <= 1:
        _begin(source)
        yield map(_write_person, tasks)
        return
    # A process that was forked from one with threads may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(tasks)), context, _begin, (source,)) as pool:
        yield pool.map(_write_person, tasks, chunksize=max(1, min(16, len(tasks) // (4 * processes))))


_source: list[Source] = []
"""What this process makes people from."""


def _begin(source: Source) -> None:
    _source[:] = [source]


def _write_person(task: _Task) -> None:
    """Make and write a person."""
    _write(task, _source[0].make(task.person, task.scanner, task.seed))


def _write(task: _Task, made: Simulated) -> None:
    person = task.person
    case = Case(person.name.removeprefix("sub-"), None, task.root / person.name / "anat" / f"{person.name}_T1w.nii.gz")
    for suffix, (voxels, grid) in made.scans.items():
        write_image(case.t1w.with_name(f"{person.name}_{suffix}.nii.gz"), voxels, grid, "native")
    for entities, dseg in (({}, made.dseg), ({"desc": "withfolia"}, made.lobules)):
        name = output_name(case, "dseg", ".nii.gz", seg="lobules", **entities)
        write_image(task.truth / name, dseg, made.truth_grid, "native")
    voxel_mm3 = made.truth_grid.voxel_volume_mm3
    counted, with_folia = (counted_cm3(dseg, voxel_mm3) for dseg in (made.dseg, made.lobules))
    who = {"participant_id": person.name, "age": f"{person.age_years:g}", "sex": person.sex, "site": person.site}
    who["icv_cm3"] = f"{made.icv_cm3:.3f}"
    write_rows(task.volumes, (who | row.as_text() for row in table(counted, counted, made.icv_cm3, with_folia)))


def _participant(person: Person, made_from: Sequence[str]) -> dict[str, object]:
    return {
        "participant_id": person.name,
        "age": f"{person.age_years:g}",
        "sex": person.sex,
        "site": person.site,
        "diagnosis": person.diagnosis,
        "dataset": person.dataset,
        "made_from": ",".join(made_from) or "n/a",
    }
