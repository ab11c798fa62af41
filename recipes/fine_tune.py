"""Section 3.6: a DPN pair goes on, with an augmentation set and without one.

    python -m recipes.fine_tune LIB.zarr SET.zarr OUT

A pair learns from subjects 1 and 2 alone, on library cases, without an atlas. Then it goes on for as many steps in two
ways: on library cases alone, and with half of the samples from the set. So what more steps do is told apart from what
the set does. Two people are left to test on; the set was made with `--hold-out` for both and for the heads of the test
images, for targets that know none of them. The pairs lie in OUT/before, OUT/original and OUT/augmented; a training
that was killed is gone on with. Adamax for the second part, as in the paper.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cerebatch.networks.card import Task
from cerebatch.training.config import TrainingConfig
from recipes.side_by_side import side_by_side
from recipes.train_folds import TEST_HEADS
from recipes.weight_files import copy_weights, trained

HOLD_OUT = ("subject-3", "subject-5")
FIRST: dict[Task, int] = {"lobules": 1000, "sides": 400}
MORE: dict[Task, int] = {"lobules": 400, "sides": 200}
"""Steps before, and of each way to go on."""


@dataclass(frozen=True)
class Run:
    """One training: its way, its task, the folder that it goes on from, the set that half of its samples are of."""

    way: str
    task: Task
    start: str | None = None
    augmented: Path | None = None

    @property
    def name(self) -> str:
        """Of its weights, without the suffix."""
        return f"dpn-{self.task}"

    def may_begin(self, out: Path) -> bool:
        """Whether the weights that it goes on from are there."""
        return self.start is None or (out / self.start / f"{self.name}.safetensors").exists()


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=("augmented", "original"), help="one way to go on, and what it goes on from")
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each")
    options = parser.parse_args()
    ways = [way for way in ("original", "augmented") if options.only in (None, way)]
    first = [Run("before", task) for task in FIRST]
    more = [Run(way, task, "before", options.set if way == "augmented" else None) for way in ways for task in MORE]
    side_by_side(
        [*first, *more],
        lambda run: run.may_begin(options.out),
        partial(done, options.library, options.out),
        options.processes,
    )


def done(library: Path, out: Path, run: Run) -> str:
    """Do one training, or find that it was done."""
    config = TrainingConfig(
        library=library,
        atlases=out / "atlases",
        architecture="dpn",
        task=run.task,
        steps=MORE[run.task] if run.start else FIRST[run.task],
        start=out / run.start / f"{run.name}.safetensors" if run.start else None,
        optimizer="adamax" if run.start else "adam, then adamax",
        learning_rate=5e-4 if run.start else 1e-3,
        hold_out=HOLD_OUT,
        hold_out_heads=TEST_HEADS,
        augmented=run.augmented,
        validate_every=200,
    )
    copy_weights(trained(config, out / run.way / run.name / f"{run.name}.safetensors"), out / run.way)
    return f"{run.way} {run.name}"


if __name__ == "__main__":
    main()
