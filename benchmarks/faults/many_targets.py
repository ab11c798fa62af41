"""Thousands of simulated targets at 4 mm from end to end, the driver killed on the way, everything read back.

    python -m benchmarks.faults.many_targets FOLDER --library LIB4.zarr [--targets 4857] [--kills 2] [--bids DIR]

The targets are no people: the T1w of the phantom on the template, each in a shape of its own (smooth waves), with
noise, written as `cerebatch run` leaves prepared scans, for `prepare` takes ten times as long as all the rest together.
With --bids the scans of that dataset are prepared and used instead. FOLDER is gone on with where it is there. Exit
status 1 if a target is missing or damaged.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import ndimage

from cerebatch.augment.make import relay_folder
from cerebatch.augment.verify import summary, verify
from cerebatch.io.description import dataset_description
from cerebatch.io.files import write_image, write_json
from cerebatch.library.augmented.store import open_augmented
from cerebatch.simulation.phantom.head import template_head
from cerebatch.simulation.phantom.people import Waves
from cerebatch.spatial import space

SHAPE_SD_MM = [2.0, 2.0, 2.0]
NOISE = 5.0
PROGRAM = "from cerebatch.cli.main import main; main()"


def write_targets(folder: Path, count: int) -> Path:
    """Write prepared scans of simulated people where they are missing."""
    box, head = space.cerebellum_box(4.0), template_head()
    t1w = ndimage.gaussian_filter(head.t1w, 4 / np.sqrt(8 * np.log(2)))
    t1w *= 250 / np.percentile(t1w, 99)
    centres = space.apply(box.affine, np.indices(box.shape).reshape(3, -1).T.astype(np.float64))
    write_json(folder / "dataset_description.json", dataset_description("simulated"))
    for seed in range(1, count + 1):
        name = f"sub-sim{seed:05d}"
        path = folder / name / "anat" / f"{name}_space-MNI152NLin2009aSym_res-4_desc-preproc_T1w.nii.gz"
        if path.exists():
            continue
        rng = np.random.default_rng(seed)
        shape = Waves.drawn(rng, count=12, length_mm=(60, 160), sd=SHAPE_SD_MM)
        index = space.apply(space.inverse(head.grid.affine), centres + shape.at(centres)).T
        image = ndimage.map_coordinates(t1w, index, np.float32, order=1).reshape(box.shape)
        noisy = np.clip(image + rng.normal(0, NOISE, box.shape), 0, None).astype(np.float32)
        write_image(path, noisy, box, "MNI")
    return folder


def run(options: argparse.Namespace, targets: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own, so that all of it can be killed."""
    command = ["augment", options.library.resolve(), targets, store, "--profile", options.profile]
    log = (options.folder / "log.txt").open("ab")
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, command)], stdout=log, stderr=log, cwd="/", start_new_session=True
    )


def cpu_seconds() -> float:
    """Core-seconds of all children that were waited for, their own children with them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def made(store: Path) -> int:
    """How many cases are complete."""
    return sum(1 for _ in relay_folder(store).glob("made/*/case.json"))


def tell_parts(store: Path) -> None:
    """Mean seconds of the parts of a case, from the records."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in relay_folder(store).glob("records/cases/*/*.json"):
        record = json.loads(path.read_text())
        for step in record.get("information", {}).get("steps", []):
            seconds[record["stage"], step["name"]].append(step["seconds"])
    for (stage, step), values in seconds.items():
        print(f"  {stage:<8} {step:<30} {np.mean(values):8.4f} s")


def main() -> None:
    """Make targets, kill, go on, verify, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--targets", type=int, default=4857)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--bids", type=Path)
    parser.add_argument("--profile", default="local")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    targets = options.bids.resolve() if options.bids else write_targets(options.folder / "targets", options.targets)
    print(f"targets are there after {time.perf_counter() - began:.0f} s", flush=True)
    store = options.folder / "SET.zarr"
    at_start, spent = made(store), 0.0
    expected = len(list(targets.glob("sub-*")))
    for kill in range(options.kills + 1):
        goal = at_start + (expected - at_start) * (kill + 1) / (options.kills + 1)
        before, used = made(store), cpu_seconds()
        process, began = run(options, targets, store), time.perf_counter()
        while process.poll() is None and (kill == options.kills or made(store) < goal):
            time.sleep(0.5)
        if kill < options.kills:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"killed with {made(store)} of {expected} cases made", flush=True)
        spent += time.perf_counter() - began
    fresh = expected - at_start
    if fresh:
        print(f"{spent:.0f} s for {fresh} cases, starts and kills included: {spent / fresh:.2f} s a case")
    if made(store) > before:
        # Who is killed is not counted; the last run was not killed.
        took = cpu_seconds() - used
        last = made(store) - before
        print(f"last run: {last} cases, {took / last:.2f} core-seconds a case, driver and starts included")
    tell_parts(store)
    began = time.perf_counter()
    problems = verify(store)
    print(f"verified in {time.perf_counter() - began:.0f} s: {len(problems)} problems; {summary(store)}")
    for problem in problems[:20]:
        print(f"  {problem}")
    files = [path for path in store.rglob("*") if path.is_file()]
    beside = sum(1 for path in relay_folder(store).rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files, {size / expected / 1e3:.1f} kB a case; {beside} files of the relay beside it")
    missing = expected - len(open_augmented(store).names)
    print("all there" if not missing else f"{missing} targets are missing")
    sys.exit(bool(problems or missing or process.returncode not in (0, 1)))


if __name__ == "__main__":
    main()
