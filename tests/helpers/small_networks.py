"""Networks with random weights, small enough to be run by tests."""

from __future__ import annotations

from pathlib import Path

import torch

from cerebatch.networks.architectures.blocks import parameters_of
from cerebatch.networks.architectures.build import build
from cerebatch.networks.card import Architecture, Card, Task, read_card
from cerebatch.networks.weights import read_network, write_weights


def write_network(
    folder: Path, architecture: Architecture = "dpn", task: Task = "sides", seed: int = 1, mm: float = 1.0
) -> Path:
    """Write weights from a seed into a folder."""
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


def write_cascade(folder: Path) -> Path:
    """Write a cascade for 4 mm that finds a cerebellum in anything."""
    write_network(folder, task="lobules", mm=4.0)
    path = write_network(folder, task="sides", mm=4.0)
    network = read_network(path)
    with torch.no_grad():
        network.out.bias += torch.tensor([-3.0, 0.0, 0.0])  # type: ignore[operator, union-attr]
    write_weights(folder, network, read_card(path, Card))
    return folder
