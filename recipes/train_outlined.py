"""The pair `unet-s2d`, from maps, heads and outlined scans to weights in single precision.

    python -m recipes.train_outlined DATA WORK

DATA holds ``lobules/``, ``heads/``, ``scans-unlabelled/`` and ``scans-outlined/`` (with ``derivatives/manual``). In
WORK are made, each once, and a program that was killed goes on where it was:

    library.zarr   0.5 mm, three people (subject 3 is left for testing) in five heads; 10 s a fit, half a minute a case
    prepared/      the outlined scans to learn from and to judge by, 30 s each; no validation person
    geometries/    heads in new shapes, 3 s each, drawn when they are wanted
    sides/, lobules/   the two trainings: 0.8 and 1.1 s a step on one core with AMX
    atlas.zarr     the same people and heads at 1 mm
    opinions/      what an atlas of it and the two networks say of scans, 90 s a scan (`recipes.own_labels`)
    named/         the lobules once more, from where they were, with these opinions and heads bent to these scans
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cerebatch.building.build import Plan, build
from cerebatch.errors import LibraryError
from cerebatch.library.store import open_library
from cerebatch.networks.ensemble import load
from cerebatch.stages.prepare import prepare
from cerebatch.training.config import CascadeConfig
from cerebatch.training.train import train
from recipes.own_labels import CASES, label

PERSONS = ("subject-1", "subject-2", "subject-5")
HEADS = ("head-01", "head-02", "head-03", "head-04", "head-05")
CHECKED = ("sub-1012", "sub-1036", "sub-1107", "sub-1113")
LEARNT = tuple(f"sub-{number}" for number in (1002, 1006, 1007, 1009, 1010, 1011, 1013, 1014, 1015, 1017, 1101))
OWN = ("sub-whole03", *(f"sub-brain{number}" for number in range(31, 38)))

say = partial(print, flush=True)


def main() -> None:
    """Make what is missing, then train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--sides-steps", type=int, default=1500)
    parser.add_argument("--lobules-steps", type=int, default=3200)
    parser.add_argument("--named-steps", type=int, default=2400)
    options = parser.parse_args()
    data, work = options.data, options.work
    make_library(data, work / "library.zarr", 0.5)
    for name in (*CHECKED, *LEARNT):
        make_prepared(data / "scans-outlined" / name, work / "prepared" / name)
    train_network(data, work, work / "sides", task="sides", steps=options.sides_steps, count=128, average=0.995)
    train_network(data, work, work / "lobules", task="lobules", steps=options.lobules_steps, count=256, average=0.997)
    make_library(data, work / "atlas.zarr", 1.0)
    make_opinions(data, work)
    train_network(
        data, work, work / "named", task="lobules", steps=options.named_steps, count=240, average=0.997,
        geometries=work / "geometries-bent", opinions=work / "opinions", own=OWN, learning_rate=8e-4, falls_from=0.4,
        start=work / "lobules/unet-s2d-lobules.safetensors",
    )  # fmt: skip


def make_library(data: Path, path: Path, resolution: float) -> None:
    """The cases that heads are drawn from, at 0.5 mm, and that make the atlas, at 1 mm."""
    with suppress(LibraryError):
        open_library(path)
        return
    plan = Plan(
        maps=tuple(data / f"lobules/{person}_dseg.nii.gz" for person in PERSONS),
        heads=tuple(data / f"heads/{head}_dseg.nii.gz" for head in HEADS),
        scans=None,
        cases=None,
        resolution=resolution,
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


def make_opinions(data: Path, work: Path) -> None:
    """Of an atlas and of the two networks, on the scans that are learnt from and on those that nobody outlined."""
    weights = work / "pair"
    weights.mkdir(exist_ok=True)
    for task in ("sides", "lobules"):
        for kind in ("safetensors", "json"):
            shutil.copy(work / task / f"unet-s2d-{task}.{kind}", weights)
    library, networks = open_library(work / "atlas.zarr"), load(weights)
    for name in (*LEARNT, *OWN):
        if name in OWN:
            make_prepared(data / "scans-unlabelled" / name, work / "prepared" / name)
        if not (work / "opinions" / name / "opinions.nii.gz").exists():
            label(work / "prepared" / name, library, networks, work / "opinions" / name, CASES)
            say(f"opinions on {name}")


def train_network(data: Path, work: Path, out: Path, **settings: Any) -> None:
    """One network; goes on from its checkpoint."""
    config = CascadeConfig.model_validate(
        {
            "network": "cascade",
            "library": work / "library.zarr",
            "geometries": work / "geometries",
            "prepared": work / "prepared",
            "outlines": data / "scans-outlined/derivatives",
            "learnt": LEARNT,
            "checked": CHECKED,
            "optimizer": "adam",
            "falls_from": 0.6,
            "validate_every": 400,
            **settings,
        }
    )
    train(config, out, say)


if __name__ == "__main__":
    main()
