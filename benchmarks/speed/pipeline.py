"""Seconds and peak memory of every step for one whole head, as a table and as a picture like the paper's figure 5.

    python -m benchmarks.speed.pipeline DATA
    python -m benchmarks.speed.pipeline DATA --library LIB.zarr --weights WEIGHTS --auxiliary-weights AUXILIARY
        --out PICTURE.png

Without --weights the labels are the atlas's, and without --library, too, those of the phantom, carried over. With
--auxiliary-weights, networks do the registrations to the library, see the intracranial volume, refine the T1w and make
up a T2w, as far as the folder holds their weights. Each stage is a process of its own, as in a run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cerebatch.errors import SettingsError
from cerebatch.io.bids import find_cases
from cerebatch.io.files import write_image
from cerebatch.networks.auxiliary.loading import helper_weights
from cerebatch.networks.card import Helper
from cerebatch.simulation.phantom import template_case
from cerebatch.stages.atlas import atlas
from cerebatch.stages.measure import measure
from cerebatch.stages.prepare import prepare
from cerebatch.stages.segment import segment_by_atlas, segment_by_case, segment_by_networks
from cerebatch.timing import Step

Stages = dict[str, list[Step]]


def main() -> None:
    """Print a table in Markdown, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--participant", default="whole01")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--auxiliary-weights", type=Path)
    parser.add_argument("--resolution", type=float, default=1.0, choices=(1.0, 0.5))
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="picture")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        stages = measured(options, Path(name))
    print(f"{options.participant}, {options.resolution:g} mm: ANTs on one thread, the rest on {options.threads}\n")
    print("| stage | step | seconds | peak memory, MB |\n|---|---|---|---|")
    for stage, steps in stages.items():
        for step in steps:
            memory = "n/a" if step.peak_mb is None else f"{step.peak_mb:.0f}"
            print(f"| {stage} | {step.name} | {step.seconds:.1f} | {memory} |")
        print(f"| {stage} | all | {seconds(steps):.1f} | {peak_mb(steps):.0f} |")
    print(f"| all | | {sum(map(seconds, stages.values())):.1f} | {max(map(peak_mb, stages.values())):.0f} |")
    if options.out is not None:
        draw(stages, options.out)


def measured(options: argparse.Namespace, work: Path) -> Stages:
    """Steps of each stage, in order."""
    case = find_cases(options.data / "scans", participants=[options.participant]).cases[0]
    resolution, threads = options.resolution, options.threads
    helpers = {} if options.auxiliary_weights is None else _there(options.auxiliary_weights, resolution)
    folders = {stage: work / stage for stage in ("prepare", "atlas", "segment", "measure")}
    for folder in folders.values():
        folder.mkdir()
    prepared, segmented = folders["prepare"], folders["segment"]
    stages: dict[str, Callable[[], list[Step]]] = {
        "prepare": partial(
            prepare,
            case.t1w,
            prepared,
            t2w=case.t2w,
            resolution=resolution,
            icv=helpers.get("icv"),
            superres=helpers.get("superres"),
        )
    }
    votes = None if options.library is None else folders["atlas"]
    if votes is not None:
        stages["atlas"] = partial(
            atlas, options.library, prepared, votes, threads=threads, registration=helpers.get("registration")
        )
    if options.weights is not None:
        stages["segment"] = partial(
            segment_by_networks,
            options.weights,
            prepared,
            votes,
            segmented,
            precision=options.precision,
            t2_synthesis=helpers.get("t2synth"),
        )
    elif votes is not None:
        stages["segment"] = partial(segment_by_atlas, votes, segmented)
    else:
        labelled_case = work / "case.nii.gz"
        write_image(labelled_case, *template_case(1.0), "MNI")
        stages["segment"] = partial(segment_by_case, labelled_case, segmented, resolution=resolution, threads=threads)
    stages["measure"] = partial(
        measure,
        case,
        prepared,
        segmented,
        folders["measure"],
        provenance={"Method": "benchmark"},
        resolution=resolution,
        threads=threads,
    )
    return {stage: _alone(work_of, threads) for stage, work_of in stages.items()}


def _there(folder: Path, resolution: float) -> dict[Helper, Path]:
    paths: dict[Helper, Path] = {}
    for name in get_args(Helper):
        with suppress(SettingsError):
            paths[name] = helper_weights(name, folder, resolution)
    return paths


def _alone(stage: Callable[[], list[Step]], threads: int) -> list[Step]:
    """A stage in a process of its own, whose peak is its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_use_threads, initargs=(threads,)) as pool:
        return pool.submit(stage).result()


def _use_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def seconds(steps: list[Step]) -> float:
    """Of a stage."""
    return sum(step.seconds for step in steps)


def peak_mb(steps: list[Step]) -> float:
    """Of a stage."""
    return max((step.peak_mb or 0.0 for step in steps), default=0.0)


def draw(stages: Stages, path: Path) -> None:
    """A bar a step along the time of the case, its peak of memory beside it."""
    figure = Figure(figsize=(9, 0.32 * sum(len(steps) for steps in stages.values()) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    names: list[str] = []
    begun = 0.0
    for stage, colour in zip(stages, colormaps["tab10"](range(10)), strict=False):
        for step in stages[stage]:
            row = len(names)
            names.append(f"{stage}: {step.name}")
            times.barh(row, step.seconds, left=begun, color=colour)
            begun += step.seconds
            times.text(begun, row, f" {step.seconds:.1f} s", va="center", fontsize=8)
            memory.barh(row, (step.peak_mb or 0.0) / 1000, color=colour)
    times.set_yticks(range(len(names)), names, fontsize=8)
    times.invert_yaxis()
    times.set_xlim(0, 1.12 * begun)
    times.set_xlabel(f"seconds, {begun:.0f} in all")
    memory.set_xlabel("peak memory, GB")
    for axes in (times, memory):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
