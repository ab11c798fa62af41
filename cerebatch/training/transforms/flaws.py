"""What a scanner does to an image: noise, bias, blur, thick slices, ghosts, gamma; and brain extraction.

TorchIO's transforms where it has them. Its bias field took 0.4 s an image where one from a few control points
takes 10 ms.
"""

from __future__ import annotations

import torch
import torchio as tio
from torch import Tensor
from torch.nn import functional

_BIAS_CONTROL = 4
_BIAS = 0.25
_NOISE = 0.06
_EXTRACTED = 0.5
_FLAWS = {
    tio.RandomBlur(std=(0.0, 0.8)): 0.3,
    tio.RandomAnisotropy(downsampling=(1.2, 3.0)): 0.25,
    tio.RandomGhosting(num_ghosts=(2, 6), intensity=(0.1, 0.5)): 0.1,
    tio.RandomGamma(log_gamma=(-0.25, 0.25)): 0.3,
}
"""Transform -> probability."""


def degraded(image: Tensor) -> Tensor:
    """An image with random flaws.

    Parameters
    ----------
    image : (X, Y, Z) float32 tensor
        Not negative; draws from torch's global generator.
    """
    flawed = image[None] * _bias(image.shape)
    for transform, probability in _FLAWS.items():
        if torch.rand(1) < probability:
            flawed = transform(flawed)
    top = torch.quantile(flawed.flatten()[::17], 0.95)
    sigma = top * _NOISE * torch.rand(1)
    # Magnitude images: noise of both channels, which never makes a voxel negative.
    real, imaginary = flawed + sigma * torch.randn_like(flawed), sigma * torch.randn_like(flawed)
    return torch.sqrt(real**2 + imaginary**2)[0]


def extraction(brain: Tensor) -> Tensor:
    """Mask of a brain extraction, more or less tight, or of none at all.

    Parameters
    ----------
    brain : (X, Y, Z) float32 tensor
        Share of brain and fluid in each voxel.

    Returns
    -------
    mask : (X, Y, Z) float32 tensor of 0 and 1
    """
    if torch.rand(1) > _EXTRACTED:
        return torch.ones_like(brain)
    wide = 2 * int(torch.randint(0, 3, (1,))) + 1
    grown = functional.max_pool3d(brain[None, None], wide, stride=1, padding=wide // 2)[0, 0]
    ragged = functional.interpolate(torch.rand(1, 1, 18, 12, 12), brain.shape, mode="trilinear")[0, 0]
    return (grown > 0.2 + 0.6 * ragged).float()


def _bias(shape: torch.Size) -> Tensor:
    control = torch.randn(1, 1, *[_BIAS_CONTROL] * 3) * _BIAS * torch.rand(1)
    return functional.interpolate(control, shape, mode="trilinear", align_corners=True)[0].exp()
