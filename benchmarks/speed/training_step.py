"""Seconds of a training step, with channels last in memory as the loop has it, beside channels first.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.training_step

One network of each architecture on noise in the shape of a usual crop, in mixed precision, best of several steps:
forward, loss, backward and optimiser, without the drawing of the sample.
"""

from __future__ import annotations

import time

import torch

from cerebatch.networks.architectures.build import CLASSES, build
from cerebatch.networks.memory import keep_memory
from cerebatch.training.loss import log_dice_bce

SHAPE = (128, 80, 88)
REPEATS = 5


def main() -> None:
    """Measure and print."""
    keep_memory()
    print(f"{SHAPE}, {torch.get_num_threads()} threads, best of {REPEATS}")
    for architecture in ("dpn", "unet"):
        first, last = (step_s(architecture, order) for order in (torch.contiguous_format, torch.channels_last_3d))
        print(f"{architecture}: channels last {last:.2f} s, first {first:.2f} s, ratio {last / first:.2f}")


def step_s(architecture: str, order: torch.memory_format) -> float:
    """Best time of a step."""
    torch.manual_seed(0)
    network = build(architecture, "lobules").to(memory_format=order)  # type: ignore[arg-type, call-overload]
    optimizer = torch.optim.Adam(network.parameters())
    image = torch.randn(1, 3, *SHAPE).to(memory_format=order)
    target = torch.randint(0, CLASSES["lobules"], SHAPE)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(image)
        optimizer.zero_grad()
        log_dice_bce(logits, target).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
