"""What augmentation costs: cases an hour, greedy beside ANTs and the network, random patches from the store.

    python -m benchmarks.speed.augment rate LIBRARY TARGETS OUT.zarr      cases an hour with the profile `local`
    python -m benchmarks.speed.augment ants LIBRARY [--pairs 3]           greedy beside SyNOnly from the same start
    python -m benchmarks.speed.augment patches OUT.zarr [--edge 64]       patches a second beside NIfTI and npy

`ants` bends one library case onto another of another person in another head, so that the true labels of the target are
known. Both start where the library put the cases (no affine), see the same region, and carry the labels by the same
vote; another column has greedy as `augment` uses it, its affine first. The registration network that cerebatch brings
has learnt from these people.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from cerebatch.atlas.registering import REGISTERED_MM, compared_region, register_cases
from cerebatch.atlas.similar import LeaveOut
from cerebatch.augment.make import jobs_of, make, relay_folder
from cerebatch.augment.registration import Registration, schedule
from cerebatch.augment.targets import find_targets
from cerebatch.batch.cluster.profile import load_profile
from cerebatch.io.files import write_image
from cerebatch.library.augmented.store import open_augmented
from cerebatch.library.store import Library, open_library
from cerebatch.measures.overlap import mean_dice
from cerebatch.networks.auxiliary.loading import helper_weights
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.deformable import by_greedy
from cerebatch.spatial.greedy_bridge import GreedySchedule
from cerebatch.spatial.space import Field, LabelMap, Volume, warp_labels


def rate(options: argparse.Namespace) -> None:
    """Cases an hour, and the seconds of each part."""
    library = open_library(options.library)
    store = options.out.resolve()
    jobs = jobs_of(library, find_targets(options.targets, library.resolution), store, seed=1)
    began = time.perf_counter()
    made = make(jobs, library, load_profile("local"), lambda _: None)
    seconds = time.perf_counter() - began
    ran = sum(outcome.status == "done" for outcome in made.outcomes)
    print(f"{ran} cases at {library.resolution} mm in {seconds:.0f} s: {3600 * ran / seconds:.0f} an hour")
    parts: dict[str, list[float]] = {}
    for path in relay_folder(store).glob("records/cases/*/augment.json"):
        for step in json.loads(path.read_text())["information"]["steps"]:
            parts.setdefault(step["name"], []).append(step["seconds"])
    for name, values in parts.items():
        print(f"  {name:<10} {np.mean(values):7.2f} s")


def ants_beside(options: argparse.Namespace) -> None:
    """Seconds of one core and mean Dice over the structures, for each tool."""
    ants_bridge.use_one_thread()
    library = open_library(options.library)
    rng = np.random.default_rng(options.seed)
    print(
        "target\tcase\tbefore\tgreedy\tseconds\tgreedy, affine first\tseconds\tSyNOnly CC\tseconds\tSyNOnly MI\tseconds"
        "\tnetwork\tseconds"
    )
    for _ in range(options.pairs):
        target = int(rng.integers(len(library.names)))
        case = int(rng.choice(LeaveOut.of(library, target).candidates(library)))
        fixed, moving = library.image(target, "T1w"), library.image(case, "T1w")
        truth, labels = library.dseg(target), library.dseg(case)
        row = [library.names[target], library.names[case], f"{mean_dice(labels, truth):.3f}"]
        ways: list[Callable[[], Field]] = [
            partial(greedy, fixed, moving, library, replace(schedule(library.resolution), affine_iterations=())),
            partial(greedy, fixed, moving, library, schedule(library.resolution)),
            partial(syn_only, fixed, moving, library, "CC"),
            partial(syn_only, fixed, moving, library, "mattes"),
        ]
        if library.resolution <= REGISTERED_MM:
            network = Registration(library.resolution, helper_weights("registration"))
            ways.append(partial(network.field, fixed, moving, compared_region(library), seed=1))
        for way in ways:
            began = time.process_time()
            field = way()
            row += [f"{mean_dice(warp_labels(labels, field), truth):.3f}", f"{time.process_time() - began:.1f}"]
        print("\t".join(row), flush=True)


def greedy(fixed: Volume, moving: Volume, library: Library, how: GreedySchedule) -> Field:
    """Greedy's displacements in voxels."""
    (field,) = register_cases(fixed, [moving], compared_region(library), library.resolution, register=by_greedy(how))
    return field


def syn_only(fixed: Volume, moving: Volume, library: Library, metric: str) -> Field:
    """ANTs' SyN without a linear step, as displacements in voxels."""
    import ants

    region = compared_region(library)
    with tempfile.TemporaryDirectory() as folder:
        result = ants.registration(
            ants_bridge.to_ants(np.minimum(fixed, 300), library.grid),
            ants_bridge.to_ants(np.minimum(moving, 300), library.grid),
            "SyNOnly",
            initial_transform="Identity",
            mask=ants_bridge.to_ants(region, library.grid),
            syn_metric=metric,
            syn_sampling=2 if metric == "CC" else 32,
            reg_iterations=(100, 50, 10),
            outprefix=f"{folder}/out_",
        )
        (warp,) = [path for path in result["fwdtransforms"] if path.endswith("1Warp.nii.gz") or "Warp" in path]
        lps_mm = np.asarray(nib.load(warp).dataobj, dtype=np.float32).reshape(*fixed.shape, 3)
    return lps_mm * np.array([-1, -1, 1], dtype=np.float32) / np.float32(library.resolution)


def patches(options: argparse.Namespace) -> None:
    """Random patches of T1w and labels a second, from the set and from files of the same cases."""
    store = open_augmented(options.out)
    usable = store.usable[: options.cases]
    edge = min(options.edge, *store.grid.shape)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as name:
        folder = Path(name)
        for index in usable:
            for kind, voxels in (("t1", store.image(index, "T1w").astype(np.float16)), ("dseg", store.dseg(index))):
                np.save(folder / f"{kind}-{index}.npy", voxels)
                stored = voxels.astype(np.float32) if kind == "t1" else voxels
                for extension in (".nii", ".nii.gz"):
                    write_image(folder / f"{kind}-{index}{extension}", stored, store.grid, "MNI")

        def from_files(read: Callable[[Path], LabelMap], extension: str) -> Callable[[int, tuple[slice, ...]], object]:
            return lambda index, block: [
                np.array(read(folder / f"{kind}-{index}{extension}")[block]) for kind in ("t1", "dseg")
            ]

        ways = {
            "set": lambda index, block: [
                store.stored("image", index, 0, *block), store.stored("dseg", index, *block)
            ],
            "npy, memory-mapped": from_files(lambda path: np.load(path, mmap_mode="r"), ".npy"),
            "NIfTI": from_files(lambda path: nib.load(path).dataobj, ".nii"),
            "NIfTI, gzip": from_files(lambda path: nib.load(path).dataobj, ".nii.gz"),
        }  # fmt: skip
        for way, read in ways.items():
            rng, began, drawn = np.random.default_rng(1), time.perf_counter(), 0
            while time.perf_counter() - began < options.seconds:
                corner = [int(rng.integers(side - edge + 1)) for side in store.grid.shape]
                read(int(rng.choice(usable)), tuple(slice(low, low + edge) for low in corner))
                drawn += 1
            print(f"{way:<20} {drawn / (time.perf_counter() - began):8.1f} patches of {edge} voxels a second")
        for extension in (".npy", ".nii", ".nii.gz"):
            size = sum(path.stat().st_size for path in folder.glob(f"*{extension}")) / len(usable)
            print(f"{extension:<8} {size / 1e6:.2f} MB a case (T1w and labels)")
    shards = sum(path.stat().st_size for kind in ("image", "dseg") for path in (options.out / kind).iterdir())
    print(f"set      {shards / len(store.usable) / 1e6:.2f} MB a case (T1w, T2w and labels)")


def main() -> None:
    """Choose what to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("rate")
    for argument in ("library", "targets", "out"):
        one.add_argument(argument, type=Path)
    one.set_defaults(run=rate)
    two = commands.add_parser("ants")
    two.add_argument("library", type=Path)
    two.add_argument("--pairs", type=int, default=3)
    two.add_argument("--seed", type=int, default=1)
    two.set_defaults(run=ants_beside)
    three = commands.add_parser("patches")
    three.add_argument("out", type=Path)
    three.add_argument("--edge", type=int, default=64)
    three.add_argument("--cases", type=int, default=20)
    three.add_argument("--seconds", type=float, default=5.0)
    three.set_defaults(run=patches)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
