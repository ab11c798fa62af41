"""Section 3.6: the DPN pair of a fold goes on, with an augmentation set and without one.

    python benchmarks/fine_tune.py LIB.zarr SET.zarr TRAINED

TRAINED is the output of `train_folds.py`. The pair of subject 3's fold goes on for as many steps in two ways: on
library cases alone, and with half of the samples from the set. So what more steps do is told apart from what the set
does. The set was made with `--hold-out subject-3` and the heads of the test images, for targets that know neither. The
pairs lie in TRAINED/tuned/original and TRAINED/tuned/augmented; a training that was killed is gone on with. Adamax as
in the paper.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from side_by_side import side_by_side
from train_folds import ENSEMBLE_PERSON, TEST_HEADS
from weight_files import copy_weights, trained

from cerebatch.networks.card import Task
from cerebatch.training.config import TrainingConfig

STEPS: dict[Task, int] = {"lobules": 400, "sides": 160}
LEARNING_RATE = 5e-4


@dataclass(frozen=True)
class Run:
    """One training: its way, its task, and the set that half of its samples are of."""

    way: str
    task: Task
    augmented: Path | None


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument("trained", type=Path)
    parser.add_argument("--only", choices=("augmented", "original"))
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each")
    options = parser.parse_args()
    ways = (("augmented", options.set), ("original", None))
    runs = [Run(way, task, augmented) for way, augmented in ways if options.only in (None, way) for task in STEPS]
    side_by_side(runs, lambda _: True, partial(done, options.library, options.trained), options.processes)


def done(library: Path, folder: Path, run: Run) -> str:
    """Do one training, or find that it was done."""
    target, name = folder / "tuned" / run.way / ENSEMBLE_PERSON, f"dpn-{run.task}"
    config = TrainingConfig(
        library=library,
        atlases=folder / "atlases",
        architecture="dpn",
        task=run.task,
        steps=STEPS[run.task],
        start=folder / "folds" / ENSEMBLE_PERSON / f"{name}.safetensors",
        optimizer="adamax",
        learning_rate=LEARNING_RATE,
        hold_out=(ENSEMBLE_PERSON,),
        hold_out_heads=TEST_HEADS,
        augmented=run.augmented,
        validate_every=200,
    )
    copy_weights(trained(config, target / name / f"{name}.safetensors"), target)
    return f"{run.way} {name}"


if __name__ == "__main__":
    main()
