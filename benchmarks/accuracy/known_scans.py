"""Test images of held-out people: a BIDS dataset of simulated scans with their truth.

    python -m benchmarks.accuracy.known_scans DATA OUT_BIDS --persons 1,2,3,5 --heads 13,14,15,16 --images-per-person 4

DATA holds `lobules/subject-N_dseg.nii.gz` and `heads/head-NN_dseg.nii.gz`. With --erased the same scans without any
border inside the cerebellum, for the baseline that sees none. With --arm the same scans with another arbor vitae, or
with filled fissures (`cerebatch.simulation.scenes.arms`). Prints the figures of each image.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from cerebatch.io.files import require_empty
from cerebatch.simulation.scenes.arms import ARMS
from cerebatch.simulation.scenes.known_scans import make_known_scan, write_descriptions, write_known_scan
from cerebatch.simulation.scenes.scanner import Protocol


def main() -> None:
    """Make, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--persons", default="1,2,3,5")
    parser.add_argument("--heads", default="13,14,15,16")
    parser.add_argument("--images-per-person", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--voxel-mm", type=float, default=1.0)
    parser.add_argument("--slice-mm", type=float, help="thick slices along the third axis, and their distance")
    parser.add_argument("--snr", type=float, default=30.0)
    parser.add_argument("--erased", action="store_true", help="without borders inside the cerebellum")
    parser.add_argument("--arm", choices=ARMS, default="labels", help="which arbor vitae the images show")
    options = parser.parse_args()
    if options.erased and options.arm != "labels":
        parser.error("--erased shows no arbor vitae: leave --arm out")
    require_empty(options.out)
    persons, heads = options.persons.split(","), [int(head) for head in options.heads.split(",")]
    if options.images_per_person > len(heads):
        parser.error(f"--images-per-person {options.images_per_person}: expected at most {len(heads)}, one a head")
    edge = options.voxel_mm
    protocol = Protocol((edge, edge, options.slice_mm or edge), options.slice_mm, options.snr)
    write_descriptions(options.out)
    for turn, person in enumerate(persons):
        for image in range(options.images_per_person):
            head = heads[(turn + image) % len(heads)]
            began = time.monotonic()
            made = make_known_scan(
                options.data / "lobules" / f"subject-{person}_dseg.nii.gz",
                options.data / "heads" / f"head-{head:02d}_dseg.nii.gz",
                # From the names, so that no choice of people or heads changes an image.
                seed=10_000 * options.seed + 100 * int(person) + head,
                t1w=protocol,
                t2w=protocol,
                erased=options.erased,
                arm=options.arm,
            )
            write_known_scan(made, options.out)
            figures = "  ".join(f"{name} {value:.3f}" for name, value in made.figures.items())
            print(f"{made.name}  {time.monotonic() - began:.0f} s  {figures}", flush=True)


if __name__ == "__main__":
    main()
