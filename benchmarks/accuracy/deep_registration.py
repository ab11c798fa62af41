"""Atlases by the registration network beside atlases by greedy: Dice, folded voxels, seconds.

    python -m benchmarks.accuracy.deep_registration LIB.zarr TRAINED --heads 2 --out TABLE.tsv

TRAINED is the output of `train_helpers.py`, which trained a network on each half of the people. Each tested case of
the library gets an atlas that knows neither its person, its twin nor its head, from the same 20 cases both ways; its
network never saw its person. The image is degraded as training images are, since a rendering without flaws is
easier than a scan. Folded: voxels of the 20 fields whose Jacobian is not positive, on the grid that is sampled.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.common.tables import write_table
from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.atlas.subject_atlas import (
    CASES,
    DISTANCE_WEIGHT,
    compared_region,
    fuse_cases,
    register_cases,
)
from cerebatch.library.store import Library, open_library
from cerebatch.measures.overlap import mean_dice
from cerebatch.networks.auxiliary.loading import register_by
from cerebatch.spatial.deformable import Register, by_greedy
from cerebatch.spatial.space import jacobian
from cerebatch.training.transforms.flaws import degraded
from recipes.train_helpers import HALVES


def main() -> None:
    """Make atlases both ways, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("trained", type=Path)
    parser.add_argument("--heads", type=int, default=2, help="cases of each person")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    library = open_library(options.library)
    rows = []
    for place, person in enumerate(sorted(set(library.persons))):
        own = [k for k, known in enumerate(library.persons) if known == person and not library.mirrored[k]]
        for turn in range(options.heads):
            index = own[(place + 4 * turn) % len(own)]
            for way, register in (("greedy", by_greedy()), ("network", of_strangers(options.trained, person))):
                who = {"case": library.names[index], "person": person, "way": way}
                rows.append({**who, **scores(library, index, register, options.threads)})
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(table.groupby("way").mean(numeric_only=True).round(4).to_string())


def of_strangers(trained: Path, person: str) -> Register:
    """The network of the half without a person."""
    half = next(half for half in HALVES if person not in half)
    path = trained / f"registration/{'-'.join(name.removeprefix('subject-') for name in half)}/registration.safetensors"
    return register_by(path)


def scores(library: Library, index: int, register: Register, threads: int) -> dict[str, float]:
    """Dice of the fused atlas, folded voxels in per cent, and seconds of the 20 registrations and of the fusion."""
    torch.manual_seed(index)
    image = degraded(torch.from_numpy(library.image(index, "T1w"))).numpy()
    region = compared_region(library)
    chosen = most_similar(image, library, CASES, LeaveOut.of(library, index))
    images, labels = [library.image(k, "T1w") for k in chosen], [library.dseg(k) for k in chosen]
    began = time.perf_counter()
    fields = register_cases(image, images, region, library.resolution, threads, register)
    registered = time.perf_counter()
    dseg, _ = fuse_cases(image, images, labels, fields, region, DISTANCE_WEIGHT, threads)
    fused = time.perf_counter()
    return {
        "dice": mean_dice(dseg, library.dseg(index)),
        "folded_percent": 100 * float(np.mean([np.mean(jacobian(field) <= 0) for field in fields])),
        "register_s": registered - began,
        "fuse_s": fused - registered,
    }


if __name__ == "__main__":
    main()
