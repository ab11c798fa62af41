from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cerebatch.networks.architectures.blocks import parameters_of
from cerebatch.networks.architectures.build import build
from cerebatch.networks.card import Architecture, Card, Task
from cerebatch.networks.weights import write_weights

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write() -> Write:
    """Writes weights from a seed into a folder."""

    def written(
        folder: Path, architecture: Architecture = "dpn", task: Task = "sides", seed: int = 1, mm: float = 1.0
    ) -> Path:
        torch.manual_seed(seed)
        network = build(architecture, task)
        size = parameters_of(network)
        version = 2 if architecture == "unet-s2d" else 1
        card = Card(
            format=version,
            architecture=architecture,
            task=task,
            resolution_mm=mm,
            parameters=size,
            training={"steps": 0},
        )
        return write_weights(folder, network, card)

    return written
