"""DPN pairs for 0.5 mm: what `train_folds.py` trained at 1 mm, refined at half the voxel edge.

    python -m recipes.train_half LIB.zarr HALF.zarr TRAINED

TRAINED is the output of `train_folds.py`; what is trained here lies in TRAINED/half: the fold of subject 3, for the
comparison of resolutions, and `shipped`. The cases of HALF are cases of LIB; their atlases are those of 1 mm, each
voxel cut in eight. A training that was killed is gone on with.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cerebatch.library.store import open_library
from cerebatch.networks.card import Task
from cerebatch.spatial.space import LabelMap
from cerebatch.training.config import TrainingConfig
from recipes.side_by_side import side_by_side
from recipes.train_folds import ENSEMBLE_PERSON, TEST_HEADS
from recipes.weight_files import copy_weights, trained

STEPS: dict[Task, int] = {"lobules": 120, "sides": 60}
"""A sample of sides is the whole box, more than twice the block that lobules are named in."""

LEARNING_RATE = 5e-3


@dataclass(frozen=True)
class Run:
    """One training: its folder, its task, and whom it never sees."""

    folder: str
    task: Task
    hold_out: tuple[str, ...] = ()
    hold_out_heads: tuple[str, ...] = ()


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path, help="at 1 mm")
    parser.add_argument("half", type=Path, help="library at 0.5 mm")
    parser.add_argument("trained", type=Path)
    parser.add_argument("--processes", type=int, default=1, help="side by side, one thread and 12 GB each")
    parser.add_argument("--only", nargs="*", help="folders, e.g. folds/subject-3")
    options = parser.parse_args()
    refine_atlases(options.trained / "atlases", options.trained / "half/atlases", open_library(options.half).names)
    runs = [
        *(Run(f"folds/{ENSEMBLE_PERSON}", task, (ENSEMBLE_PERSON,), TEST_HEADS) for task in STEPS),
        *(Run("shipped", task) for task in STEPS),
    ]
    wanted = [run for run in runs if not options.only or run.folder in options.only]
    side_by_side(wanted, lambda _: True, partial(done, options.half, options.trained), options.processes)


def done(library: Path, folder: Path, run: Run) -> str:
    """Do one training, or find that it was done."""
    target, name = folder / "half" / run.folder, f"dpn-refined-{run.task}"
    config = TrainingConfig(
        library=library,
        atlases=folder / "half/atlases",
        architecture="dpn-refined",
        task=run.task,
        steps=STEPS[run.task],
        start=folder / run.folder / f"dpn-{run.task}.safetensors",
        learning_rate=LEARNING_RATE,
        hold_out=run.hold_out,
        hold_out_heads=run.hold_out_heads,
        validate_every=STEPS[run.task],
        validation_cases=2,
        checkpoint_every=5,
    )
    copy_weights(trained(config, target / name / f"{name}.safetensors"), target)
    return f"{run.folder} {name}"


def refine_atlases(coarse: Path, fine: Path, cases: tuple[str, ...]) -> None:
    """Cut each voxel of the atlases of 1 mm in eight."""
    fine.mkdir(parents=True, exist_ok=True)
    for name in cases:
        source = coarse / f"{name}.npz"
        if source.exists() and not (fine / source.name).exists():
            with np.load(source) as votes:
                cut: dict[str, Any] = {without: cut_in_eight(votes[without]) for without in votes}
                np.savez_compressed(fine / source.name, **cut)


def cut_in_eight(dseg: LabelMap) -> LabelMap:
    """Labels on voxels of half the edge."""
    return np.asarray(np.repeat(np.repeat(np.repeat(dseg, 2, axis=0), 2, axis=1), 2, axis=2), dtype=np.uint8)


if __name__ == "__main__":
    main()
