"""The atlas on cases of its own library, each without its person, its twin and its head.

    python -m benchmarks.accuracy.leave_one_out LIB.zarr --heads 4 --out TABLE.tsv

Prints mean Dice over 24 structures (I-II apart) for N = 1, 3, 5, 10, 20 most similar cases and d = 0, 0.5, 5, beside
the majority label of all allowed cases without registration, the best single one of the 20 (known only by looking
at the truth), and the number of distinct people among the N.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.majority import majority
from benchmarks.common.tables import write_table
from cerebatch.atlas.registering import compared_region, register_cases
from cerebatch.atlas.similar import LeaveOut, most_similar
from cerebatch.atlas.subject_atlas import CASES
from cerebatch.intensity.standardise import standardised
from cerebatch.library.store import open_library
from cerebatch.measures.overlap import mean_dice
from cerebatch.spatial.fusion import warp_and_fuse

COUNTS = (1, 3, 5, 10, CASES)
WEIGHTS = (0.0, 0.5, 5.0)


def scores(path: Path, index: int) -> dict[str, object]:
    """One row: every figure of one case."""
    library = open_library(path)
    left_out = LeaveOut.of(library, index)
    image, truth = library.image(index, "T1w"), library.dseg(index)
    region = compared_region(library)
    chosen = most_similar(image, library, CASES, left_out)
    images = [library.image(k, "T1w") for k in chosen]
    dsegs = [library.dseg(k) for k in chosen]
    fields = register_cases(image, images, region, library.resolution)
    row: dict[str, object] = {
        "case": library.names[index],
        "affine_majority": mean_dice(majority(library, left_out), truth),
    }
    target, moving = standardised(image, region), [standardised(other, region) for other in images]
    singles = [
        mean_dice(warp_and_fuse(target, [one], [dseg], [field], 0.0)[0], truth)
        for one, dseg, field in zip(moving, dsegs, fields, strict=True)
    ]
    row |= {"best_single": max(singles), "mean_single": float(np.mean(singles))}
    for count in COUNTS:
        row[f"people_{count}"] = len({library.persons[k] for k in chosen[:count]})
        for weight in WEIGHTS:
            dseg, _ = warp_and_fuse(target, moving[:count], dsegs[:count], fields[:count], weight)
            row[f"N{count}_d{weight:g}"] = mean_dice(dseg, truth)
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--heads", type=int, default=4, help="heads a person; as many cases for each")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    library = open_library(options.library)
    people = sorted(set(library.persons))
    tested = []
    for place, person in enumerate(people):
        own = [k for k, p in enumerate(library.persons) if p == person and not library.mirrored[k]]
        # Other heads for each person, so that no head decides.
        tested += [own[(place + len(people) * turn) % len(own)] for turn in range(options.heads)]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(scores, [options.library] * len(tested), tested))
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    means = table.drop(columns="case").mean()
    print(f"{len(tested)} cases of {len(people)} people; mean Dice over 24 structures")
    print(
        f"affine majority {means['affine_majority']:.3f}   best single of {CASES} {means['best_single']:.3f}   ", end=""
    )
    print(f"mean single {means['mean_single']:.3f}")
    print("N\tpeople\t" + "\t".join(f"d={weight:g}" for weight in WEIGHTS))
    for count in COUNTS:
        figures = "\t".join(f"{means[f'N{count}_d{weight:g}']:.3f}" for weight in WEIGHTS)
        print(f"{count}\t{means[f'people_{count}']:.1f}\t{figures}")
    by_person = table.assign(person=table["case"].str.split("_").str[0]).groupby("person")
    print("by person, N=20, d=0.5:", by_person[f"N{CASES}_d0.5"].mean().round(3).to_dict())


if __name__ == "__main__":
    main()
