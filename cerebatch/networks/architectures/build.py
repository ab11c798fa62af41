"""Networks by the names that weights and configurations use."""

from __future__ import annotations

from torch import nn

from cerebatch.networks.architectures.dpn import DPN
from cerebatch.networks.architectures.refined import Refined
from cerebatch.networks.architectures.space_to_depth import SpaceToDepthUNet
from cerebatch.networks.architectures.unet import UNet
from cerebatch.networks.card import CHANNELS, REFINED, Architecture, BaseCard, Card, Task
from cerebatch.networks.inputs import LOBULES, SIDES

_ARCHITECTURES: dict[Architecture, type[DPN] | type[UNet]] = {"dpn": DPN, "unet": UNet}
CLASSES: dict[Task, int] = {"sides": SIDES, "lobules": LOBULES}
_S2D_FILTERS: dict[Task, int] = {"sides": 16, "lobules": 32}


def build(architecture: Architecture, task: Task) -> nn.Module:
    """A network with random weights.

    Parameters
    ----------
    architecture : {"dpn", "unet", "dpn-refined", "unet-refined", "unet-s2d"}
    task : {"sides", "lobules"}
        First or second network of the cascade.
    """
    if architecture == "unet-s2d":
        return SpaceToDepthUNet(CLASSES[task], _S2D_FILTERS[task])
    if architecture in REFINED:
        return Refined(build(REFINED[architecture], task), len(CHANNELS), CLASSES[task])
    return _ARCHITECTURES[architecture](len(CHANNELS), CLASSES[task])


def part_of(network: nn.Module, card: BaseCard) -> nn.Module:
    """What the weights of a card go into: the network, or the coarse one inside a refined network.

    Parameters
    ----------
    network : Module
    card : BaseCard
        Of weights that a training begins with.
    """
    if isinstance(network, Refined) and isinstance(card, Card) and card.architecture not in REFINED:
        return network.coarse
    return network
