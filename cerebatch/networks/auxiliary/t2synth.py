"""A T2w made up from a T1w, so that one ensemble serves people with and without a T2w (section 3.8, [48]).

It holds nothing that the T1w does not hold.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.architectures.unet import UNet
from cerebatch.networks.inputs import image_channel
from cerebatch.spatial.space import Volume

FILTERS = 16
UNIT = 250.0
"""The network's unit of intensity: fluid of a prepared T2w."""


def network() -> nn.Module:
    """A network with random weights: the T1w in, the T2w in units of `UNIT` out."""
    return UNet(1, 1, FILTERS)


def as_input(t1w: Volume, region: NDArray[np.bool_]) -> Tensor:
    """What the network takes, (1, 1, X, Y, Z).

    Parameters
    ----------
    t1w : (X, Y, Z) float32
        Prepared scan in the box.
    region : (X, Y, Z) bool
        `networks.inputs.brain_region`.
    """
    return torch.from_numpy(image_channel(t1w, region))[None, None]


def synthesised_t2w(synthesis: nn.Module, t1w: Volume, region: NDArray[np.bool_]) -> Volume:
    """A T2w of the contrast that `prepare` gives, zero outside the region.

    Parameters
    ----------
    synthesis : Module
        Trained `network`.
    t1w : (X, Y, Z) float32
        Prepared scan in the box, at the resolution of the training.
    region : (X, Y, Z) bool
        `networks.inputs.brain_region`.
    """
    with torch.inference_mode():
        found = synthesis(as_input(t1w, region).to(device_of(synthesis)))[0, 0].float().cpu().numpy()
    t2w: Volume = np.where(region, np.maximum(found, 0) * np.float32(UNIT), np.float32(0))
    return t2w
