"""Networks by the names that weights and configurations use."""

from __future__ import annotations

from torch import nn

from cerebatch.networks.card import CHANNELS, Architecture, Task
from cerebatch.networks.dpn import DPN
from cerebatch.networks.inputs import LOBULES, SIDES
from cerebatch.networks.unet import UNet

_ARCHITECTURES: dict[Architecture, type[DPN] | type[UNet]] = {"dpn": DPN, "unet": UNet}
CLASSES: dict[Task, int] = {"sides": SIDES, "lobules": LOBULES}


def build(architecture: Architecture, task: Task) -> nn.Module:
    """A network with random weights.

    Parameters
    ----------
    architecture : {"dpn", "unet"}
    task : {"sides", "lobules"}
        First or second network of the cascade.
    """
    return _ARCHITECTURES[architecture](len(CHANNELS), CLASSES[task])
