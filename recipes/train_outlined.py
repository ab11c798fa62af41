"""The pair `unet-s2d`, from maps, heads and outlined scans to weights in single precision.

    python -m recipes.train_outlined DATA WORK

DATA holds ``lobules/``, ``heads/`` and ``scans-outlined/`` (with ``derivatives/manual``). In WORK are made, each once,
and a program that was killed goes on where it was:

    library.zarr   0.5 mm, three people (subject 3 is left for testing) in five heads; 10 s a fit, half a minute a case
    prepared/      the outlined scans to learn from and to judge by, 30 s each; no validation person
    geometries/    heads in new shapes, 3 s each, drawn when they are wanted
    sides/, lobules/   the two trainings: 0.8 and 1.1 s a step on one core with AMX
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from functools import partial
from pathlib import Path

from cerebatch.building.build import Plan, build
from cerebatch.errors import LibraryError
from cerebatch.library.store import open_library
from cerebatch.networks.card import Task
from cerebatch.stages.prepare import prepare
from cerebatch.training.config import CascadeConfig
from cerebatch.training.train import train

PERSONS = ("subject-1", "subject-2", "subject-5")
HEADS = ("head-01", "head-02", "head-03", "head-04", "head-05")
CHECKED = ("sub-1012", "sub-1036", "sub-1107", "sub-1113")
LEARNT = tuple(f"sub-{number}" for number in (1002, 1006, 1007, 1009, 1010, 1011, 1013, 1014, 1015, 1017, 1101))
RESOLUTION = 0.5

say = partial(print, flush=True)


def main() -> None:
    """Make what is missing, then train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--sides-steps", type=int, default=1500)
    parser.add_argument("--lobules-steps", type=int, default=3200)
    options = parser.parse_args()
    make_library(options.data, options.work / "library.zarr")
    for name in (*CHECKED, *LEARNT):
        make_prepared(options.data / "scans-outlined" / name, options.work / "prepared" / name)
    train_network(options.data, options.work, "sides", options.sides_steps, count=128, average=0.995)
    train_network(options.data, options.work, "lobules", options.lobules_steps, count=256, average=0.997)


def make_library(data: Path, path: Path) -> None:
    """The cases of 0.5 mm that heads are drawn from."""
    with suppress(LibraryError):
        open_library(path)
        return
    plan = Plan(
        maps=tuple(data / f"lobules/{person}_dseg.nii.gz" for person in PERSONS),
        heads=tuple(data / f"heads/{head}_dseg.nii.gz" for head in HEADS),
        scans=None,
        cases=None,
        resolution=RESOLUTION,
        seed=1,
    )
    build(path, plan, processes=1, tell=say)


def make_prepared(person: Path, folder: Path) -> None:
    """The first scan of a person, as a network sees it."""
    if (folder / "prepared.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    prepare(sorted(person.rglob("*_T1w.nii.gz"))[0], folder)
    say(f"prepared {person.name}")


def train_network(data: Path, work: Path, task: Task, steps: int, *, count: int, average: float) -> None:
    """One of the two networks; goes on from its checkpoint."""
    config = CascadeConfig(
        network="cascade",
        library=work / "library.zarr",
        geometries=work / "geometries",
        count=count,
        prepared=work / "prepared",
        outlines=data / "scans-outlined/derivatives",
        learnt=LEARNT,
        checked=CHECKED,
        task=task,
        steps=steps,
        optimizer="adam",
        falls_from=0.6,
        average=average,
        validate_every=400,
    )
    train(config, work / task, say)


if __name__ == "__main__":
    main()
