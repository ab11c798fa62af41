"""Seconds and memory of the ensemble, beside the bare forward passes of the same networks and MONAI's U-Net.

    python -m benchmarks.speed.ensemble WEIGHTS --resolution 1.0 --threads 2

Each row is a process of its own, so that its peak of memory is its own. The scan is noise in the shape of the box, with
a mask of usual size; what is in it makes no difference. The rows `unet` and `monai` are one pass of our U-net for the
lobules and of MONAI's BasicUNet over the same crop, the same filters at the four upper levels (BasicUNet has a fifth);
MONAI's is left out, and said so, where MONAI is not installed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

ROWS = ("cascades", "bare", "unet", "monai")


def main() -> None:
    """Measure each row in a process, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--resolution", type=float, default=1.0, choices=(1.0, 0.5))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is not None:
        print(json.dumps(measured(options)))
        return
    print(f"{options.resolution:g} mm, {options.threads} threads, best of {options.repeats}, one view (no mirroring)")
    for precision in ("float32", "bfloat16"):
        seconds: dict[str, float] = {}
        for row in ROWS:
            command = [sys.executable, __file__, str(options.weights), f"--resolution={options.resolution}"]
            command += [f"--threads={options.threads}", f"--repeats={options.repeats}"]
            done = subprocess.run(
                [*command, f"--row={row}", f"--precision={precision}"], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                print(f"{precision} {row}: not measured: {done.stderr.strip().splitlines()[-1]}")
                continue
            found = json.loads(done.stdout)
            seconds[row] = found["seconds"]
            print(f"{precision} {row}: {found['seconds']:.2f} s, peak {found['peak_gb']:.2f} GB", flush=True)
        for one, other in (("cascades", "bare"), ("unet", "monai")):
            if {one, other} <= seconds.keys():
                print(f"{precision}: {one} takes {seconds[one] / seconds[other]:.2f} times as long as {other}")


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Best time of one row in seconds, and the process's peak of memory in GB."""
    import numpy as np
    import torch

    from cerebatch.networks.cascade import Channels, SideCascade, memory_order, precise
    from cerebatch.networks.ensemble import load
    from cerebatch.networks.inputs import LOBULES, SIDES, crop_around
    from cerebatch.networks.memory import keep_memory
    from cerebatch.networks.one_side import seen_mask
    from cerebatch.spatial.space import cerebellum_box

    keep_memory()
    torch.set_num_threads(options.threads)
    shape = cerebellum_box(options.resolution).shape
    generator = np.random.default_rng(1)
    t1w, t2w = (generator.standard_normal(shape, dtype=np.float32) for _ in range(2))
    grids = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    radii = (0.83, 0.8, 0.8)
    mask = (
        np.sum([(grid / radius) ** 2 for grid, radius in zip(np.broadcast_arrays(*grids), radii, strict=True)], axis=0)
        < 1
    )
    left = np.broadcast_to(np.arange(shape[0])[:, None, None] < shape[0] // 2, shape)
    ensemble = load(options.weights, "cpu")
    device = torch.device("cpu")
    order = memory_order(options.precision)

    def noise(channels: int, inside: NDArray[np.bool_] | None = None) -> Tensor:
        sides = shape if inside is None else tuple(p.stop - p.start for p in crop_around(inside))
        return torch.randn(1, channels, *sides).to(memory_format=order)

    part = noise(3, mask)
    seen = {
        # Both sides of the mask are alike, and each is seen by itself.
        cascade: (noise(2 + SIDES), [noise(2 + LOBULES, seen_mask(mask & left))] * 2)
        if isinstance(cascade, SideCascade)
        else (noise(3), [part])
        for cascade in ensemble.cascades
    }
    for cascade in ensemble.cascades:
        cascade.sides.to(memory_format=order)  # type: ignore[call-overload]
        cascade.lobules.to(memory_format=order)  # type: ignore[call-overload]

    def bare() -> None:
        with torch.inference_mode(), precise(options.precision, device):
            for cascade in ensemble.cascades:
                whole, parts = seen[cascade]
                cascade.sides(whole)
                for image in parts:
                    cascade.lobules(image)

    def cascades() -> None:
        for cascade in ensemble.cascades:
            channels = Channels(t1w, t2w, None)
            cascade.structure_shares(channels, cascade.side_shares(channels, options.precision), options.precision)

    def one_pass() -> None:
        with torch.inference_mode(), precise(options.precision, device):
            network(part)

    if options.row == "cascades":
        # Noise has no cerebellum: the first network is told where it is, after it has done its work.
        given = torch.from_numpy(np.stack([~mask, mask & left, mask & ~left])[None]).float() * 10
        for cascade in ensemble.cascades:
            cascade.sides.register_forward_hook(lambda *_: given)
    if options.row == "monai":
        from monai.networks.nets import BasicUNet

        network = BasicUNet(3, 3, LOBULES, features=(16, 32, 64, 128, 128, 16)).eval().to(memory_format=order)
    if options.row == "unet":
        (network,) = (cascade.lobules for cascade in ensemble.cascades if cascade.architecture == "unet")
    run = {"bare": bare, "cascades": cascades}.get(options.row, one_pass)
    best = float("inf")
    for _ in range(options.repeats):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return {"seconds": best, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


if __name__ == "__main__":
    main()
