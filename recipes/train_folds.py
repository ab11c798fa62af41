"""The trainings behind the model card, in order: halves, folds, the second architecture, and what is shipped.

    python -m recipes.train_folds LIB.zarr OUT --processes 2

No network of a fold ever sees its test person, nor the four heads of the test images. What two folds may share is
trained once: a network of two people goes on in both folds whose test person is one of the other two. Networks that
see two people have no atlas channel yet, and so begin by reading the image. Each training resumes where it was
killed; what is finished is not done again.

    OUT/half-1-2/   dpn, trained on subjects 1 and 2        OUT/folds/subject-3/   goes on with it, on 1, 2 and 5
    OUT/half-3-5/   dpn, trained on subjects 3 and 5        OUT/folds/...          the other three
    OUT/folds/subject-3/ also holds the U-net pair; its sides begin in OUT/early/
    OUT/shipped/         both pairs, on all four people, begun from those of subject 3's fold
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cerebatch.library.store import open_library
from cerebatch.networks.card import Architecture, Task
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.config import TrainingConfig
from recipes.side_by_side import side_by_side
from recipes.weight_files import copy_weights, trained

PERSONS = ("subject-1", "subject-2", "subject-3", "subject-5")
HALVES = (("subject-1", "subject-2"), ("subject-3", "subject-5"))
TEST_HEADS = ("head-13", "head-14", "head-15", "head-16")
ENSEMBLE_PERSON = "subject-3"
"""Whose fold has both architectures; named before the first training."""

ARCHITECTURES: tuple[Architecture, ...] = ("dpn", "unet")


@dataclass(frozen=True)
class Run:
    """One training: its folder below OUT and its settings."""

    folder: str
    architecture: Architecture
    task: Task
    steps: int
    hold_out: tuple[str, ...]
    heads: tuple[str, ...] = TEST_HEADS
    start: str | None = None
    learning_rate: float = 1e-3

    @property
    def name(self) -> str:
        """Of the folder of the training itself."""
        return f"{self.folder}/{self.architecture}-{self.task}"

    @property
    def weights(self) -> str:
        """File name of what it trains."""
        return f"{self.architecture}-{self.task}.safetensors"

    def may_begin(self, out: Path) -> bool:
        """Whether the networks that it begins from are there."""
        return self.start is None or (out / self.start / self.weights).exists()


def half_of(person: str) -> tuple[str, ...]:
    """The two people of the half without a person."""
    return next(half for half in HALVES if person not in half)


def half_folder(half: tuple[str, ...]) -> str:
    """Where the networks of a half lie."""
    return "half-" + "-".join(person.removeprefix("subject-") for person in half)


def runs() -> list[Run]:
    """All trainings, the first wanted first; each waits for the one that it begins from."""
    half = [
        Run(half_folder(half), "dpn", task, steps, tuple(p for p in PERSONS if p not in half))
        for task, steps in _steps(1200, 160)
        for half in HALVES
    ]
    fold, early = f"folds/{ENSEMBLE_PERSON}", f"early/{ENSEMBLE_PERSON}"
    second = [
        Run(early, "unet", "sides", 300, (ENSEMBLE_PERSON,)),
        Run(fold, "unet", "lobules", 1800, (ENSEMBLE_PERSON,)),
        Run(fold, "unet", "sides", 500, (ENSEMBLE_PERSON,), start=early, learning_rate=5e-4),
    ]
    first = [
        Run(f"folds/{person}", "dpn", task, steps, (person,), start=half_folder(half_of(person)), learning_rate=rate)
        for person in sorted(PERSONS, key=lambda person: person != ENSEMBLE_PERSON)
        for (task, steps), rate in zip(_steps(600, 500), (5e-4, 1e-3), strict=True)
    ]
    shipped = [
        Run("shipped", architecture, task, steps, (), (), fold, 5e-4)
        for architecture in ARCHITECTURES
        for task, steps in _steps(600, 150)
    ]
    return [*half, *second, *first[:2], *shipped, *first[2:]]


def _steps(lobules: int, sides: int) -> tuple[tuple[Task, int], tuple[Task, int]]:
    return ("lobules", lobules), ("sides", sides)


def done(out: Path, library: Path, run: Run) -> str:
    """Run one training, or find that it was done."""
    config = TrainingConfig(
        library=library,
        atlases=out / "atlases",
        architecture=run.architecture,
        task=run.task,
        steps=run.steps,
        start=out / run.start / run.weights if run.start else None,
        hold_out=run.hold_out,
        hold_out_heads=run.heads,
        learning_rate=run.learning_rate,
        validate_every=200,
    )
    weights = trained(config, out / run.name / run.weights)
    copy_weights(weights, out / run.folder)  # the pair of a folder lies together
    return run.name


def main() -> None:
    """Train all that is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each")
    options = parser.parse_args()
    for name in TrainingAtlases(open_library(options.library), options.out / "atlases").make(options.processes):
        print(f"atlas of {name}", flush=True)
    side_by_side(
        runs(),
        lambda run: run.may_begin(options.out),
        partial(done, options.out, options.library),
        options.processes,
    )


if __name__ == "__main__":
    main()
