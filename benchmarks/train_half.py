"""DPN pairs for 0.5 mm: what `train_folds.py` trained at 1 mm goes on at half the voxel edge.

    python benchmarks/train_half.py LIB.zarr HALF.zarr TRAINED --steps 60

TRAINED is the output of `train_folds.py`; what is trained here lies in TRAINED/half: the fold of subject 3, for the
comparison of resolutions, and `shipped`. A step takes eight times as long as at 1 mm and ten times the memory, so one
training runs at a time. The cases of HALF are cases of LIB; their atlases are those of 1 mm, each voxel cut in eight.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from train_folds import ENSEMBLE_PERSON, TEST_HEADS
from weight_files import copy_weights

from cerebatch.library.store import open_library
from cerebatch.networks.card import Task
from cerebatch.space import LabelMap
from cerebatch.training.config import TrainingConfig
from cerebatch.training.train import train

TASKS: tuple[Task, ...] = ("lobules", "sides")


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path, help="at 1 mm")
    parser.add_argument("half", type=Path, help="library at 0.5 mm")
    parser.add_argument("trained", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="folders, e.g. folds/subject-3")
    options = parser.parse_args()
    atlases = options.trained / "half/atlases"
    refine_atlases(options.trained / "atlases", atlases, open_library(options.half).names)
    for folder, held, heads in ((f"folds/{ENSEMBLE_PERSON}", (ENSEMBLE_PERSON,), TEST_HEADS), ("shipped", (), ())):
        if options.only and folder not in options.only:
            continue
        for task in TASKS:
            name = f"dpn-{task}"
            target = options.trained / "half" / folder
            if (target / f"{name}.safetensors").exists():
                continue
            config = TrainingConfig(
                library=options.half,
                atlases=atlases,
                architecture="dpn",
                task=task,
                steps=options.steps,
                start=options.trained / folder / f"{name}.safetensors",
                optimizer="adamax",
                learning_rate=5e-4,
                hold_out=held,
                hold_out_heads=heads,
                validate_every=options.steps,
                validation_cases=2,
                checkpoint_every=5,
                threads=options.threads,
            )
            print(f"{folder} {name}", flush=True)
            weights = train(config, target / name, partial(print, flush=True))
            copy_weights(weights, target)


def refine_atlases(coarse: Path, fine: Path, cases: tuple[str, ...]) -> None:
    """Cut each voxel of the atlases of 1 mm in eight."""
    fine.mkdir(parents=True, exist_ok=True)
    for name in cases:
        source = coarse / f"{name}.npz"
        if source.exists() and not (fine / source.name).exists():
            with np.load(source) as votes:
                np.savez_compressed(fine / source.name, **{without: cut_in_eight(votes[without]) for without in votes})


def cut_in_eight(dseg: LabelMap) -> LabelMap:
    """Labels on voxels of half the edge."""
    return np.asarray(np.repeat(np.repeat(np.repeat(dseg, 2, axis=0), 2, axis=1), 2, axis=2), dtype=np.uint8)


if __name__ == "__main__":
    main()
