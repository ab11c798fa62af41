"""The trainings of the networks beside the ensemble, those that are tested and those that are shipped.

    python -m recipes.train_helpers DATA LIB.zarr HALF.zarr OUT --processes 2

    OUT/icv/fold-1 ... fold-4    each without four of the 16 heads; OUT/icv/all: on all of them
    OUT/superres                 library at 0.5 mm and the scans sharper than 1 mm, but for those held back
    OUT/t2synth                  library at 1 mm; OUT/t2synth-half: at 0.5 mm, beginning with it
    OUT/registration/1-2, 3-5    each on two people, so that the other two are new to it; OUT/registration/all: goes on

Each training resumes where it was killed; what is finished is not done again. OUT/shipped holds what is shipped. The
training of t2synth-half takes 14 GB of memory, those of 1 mm up to 4 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cerebatch.io.labelmaps import map_name
from cerebatch.training.config import NETWORKS, LoopConfig
from recipes.side_by_side import side_by_side
from recipes.weight_files import copy_weights, trained

FOLDS = 4
LEARN_SCANS = ("brain01", "brain02", "brain05", "brain09", "brain12")
HELD_BACK = ("brain16", "brain22", "brain30", "whole01")
"""Real scans sharper than 1 mm that super-resolution is tested on; named before its first training."""

HALVES = (("subject-1", "subject-2"), ("subject-3", "subject-5"))


@dataclass(frozen=True)
class Run:
    """One training: its folder below OUT, its network and settings, and the folder that it begins from."""

    folder: str
    network: str
    settings: dict[str, Any]
    start: str | None = None
    shipped: bool = False

    def weights(self, out: Path) -> Path:
        """What it trains."""
        return out / self.folder / f"{self.network}.safetensors"

    def begins(self, out: Path) -> Path | None:
        """Weights that it begins with."""
        return None if self.start is None else out / self.start / f"{self.network}.safetensors"


def runs(data: Path, library: Path, half: Path, out: Path) -> list[Run]:
    """All trainings, in order."""
    heads = [map_name(path) for path in sorted((data / "heads").glob("*_dseg.nii.gz"))]
    icv = {"heads": data / "heads", "kept": out / "icv/kept", "validate_every": 100}
    cavity = [
        Run(f"icv/fold-{k + 1}", "icv", icv | {"steps": 1500, "hold_out_heads": tuple(heads[k::FOLDS])})
        for k in range(FOLDS)
    ]
    scans = {"scans": data / "scans", "learn_scans": LEARN_SCANS, "check_scans": HELD_BACK}
    superres = {"library": half, "hold_out": ("subject-3",), "steps": 3000, **scans}
    registration = [
        Run(
            "registration/" + "-".join(person.removeprefix("subject-") for person in HALVES[1 - k]),
            "registration",
            {"library": library, "hold_out": half_held, "steps": 1000},
        )
        for k, half_held in enumerate(HALVES)
    ]
    return [
        Run("superres", "superres", superres, shipped=True),
        *cavity,
        Run("t2synth", "t2synth", {"library": library, "hold_out": ("subject-3",), "steps": 600}, shipped=True),
        *registration,
        Run("icv/all", "icv", icv | {"steps": 300, "learning_rate": 3e-4}, start="icv/fold-1", shipped=True),
        Run(
            "registration/all",
            "registration",
            {"library": library, "steps": 300, "learning_rate": 3e-4},
            start="registration/1-2",
            shipped=True,
        ),
        Run(
            "t2synth-half",
            "t2synth",
            {"library": half, "hold_out": ("subject-3",), "steps": 60, "learning_rate": 3e-4, "checkpoint_every": 10},
            start="t2synth",
        ),
    ]


def done(out: Path, run: Run) -> str:
    """Run one training, or find that it was done."""
    kind: Callable[..., LoopConfig] = NETWORKS[run.network]
    config = kind(network=run.network, start=run.begins(out), **run.settings)
    weights = trained(config, run.weights(out))
    if run.shipped:
        copy_weights(weights, out / "shipped")
    return run.folder


def main() -> None:
    """Train all that is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("library", type=Path, help="at 1 mm")
    parser.add_argument("half", type=Path, help="library at 0.5 mm")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", help="networks to train, e.g. icv superres")
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each")
    options = parser.parse_args()
    wanted = [
        run
        for run in runs(options.data, options.library, options.half, options.out)
        if not options.only or run.network in options.only
    ]
    side_by_side(
        wanted,
        lambda run: (path := run.begins(options.out)) is None or path.exists(),
        partial(done, options.out),
        options.processes,
    )


if __name__ == "__main__":
    main()
