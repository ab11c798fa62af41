"""A network for half the voxel edge: one of the coarse resolution, and a level more that corrects what it says."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.networks.architectures.blocks import ConvReluNorm, padded

FACTOR = 2
FILTERS = 16


class Refined(nn.Module):
    """A network of the coarse resolution, which stays as it is, and three convolutions of the fine one on top.

    The coarse network sees the images halved, and every second voxel of the atlas, whose codes cannot be averaged. Its
    logits, brought up linearly, are corrected by what the fine level reads from the image and from its probabilities.
    The correction begins at zero: an untrained one says what the coarse network says. Only the fine level learns.

    Parameters
    ----------
    coarse : Module
        Takes (N, C, X, Y, Z), the atlas last, gives (N, K, X, Y, Z).
    channels : int
        Of the input, the atlas included.
    classes : int
    filters : int
        Of the fine level.
    """

    def __init__(self, coarse: nn.Module, channels: int, classes: int, filters: int = FILTERS) -> None:
        super().__init__()
        self.coarse: nn.Module = coarse.requires_grad_(False)
        self.fine = nn.Sequential(ConvReluNorm(channels + classes, filters), ConvReluNorm(filters, filters))
        self.out = nn.Conv3d(filters, classes, 3, padding=1)
        for one in self.out.parameters():
            nn.init.zeros_(one)

    def train(self, mode: bool = True) -> Self:
        """Have the fine level learn, or not; the coarse network never does."""
        super().train(mode)
        self.coarse.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the classes.

        Parameters
        ----------
        image : (N, C, X, Y, Z) tensor

        Returns
        -------
        logits : (N, K, X, Y, Z) tensor
        """
        whole, crop = padded(image, FACTOR)
        logits: Tensor = functional.interpolate(self.coarse(_halved(whole)), scale_factor=FACTOR, mode="trilinear")
        seen = torch.cat([whole, logits.softmax(dim=1).to(whole.dtype)], dim=1)
        corrected: Tensor = (logits + self.out(self.fine(seen)))[crop]
        return corrected


def _halved(image: Tensor) -> Tensor:
    """Means of 2 x 2 x 2 voxels; of the last channel one voxel of each."""
    images, atlas = image[:, :-1], image[:, -1:]
    return torch.cat([functional.avg_pool3d(images, FACTOR), atlas[..., ::FACTOR, ::FACTOR, ::FACTOR]], dim=1)
