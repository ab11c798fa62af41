"""The 3D U-net that the paper compares the DPN with (section 3.1; Çiçek et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.networks.architectures.blocks import ConvReluNorm, padded

LEVELS = 4


class UNet(nn.Module):
    """3D U-net with a number of filters that doubles at each of three subsamplings.

    Up-convolutions keep the number of channels, as those of Çiçek et al. The paper gives 3,433,473 parameters for
    two networks and no further detail; with three channels these are 3,268,481.

    Parameters
    ----------
    channels : int
        Of the input.
    classes : int
    filters : int
        Of the first level; 16 in the paper.
    """

    multiple = 2 ** (LEVELS - 1)

    def __init__(self, channels: int, classes: int, filters: int = 16) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(LEVELS)]
        self.downs = nn.ModuleList(
            _two(before, width) for before, width in zip([channels, *widths], widths, strict=False)
        )
        self.ups = nn.ModuleList(nn.ConvTranspose3d(width, width, 2, stride=2) for width in widths[:0:-1])
        self.joins = nn.ModuleList(_two(width + width // 2, width // 2) for width in widths[:0:-1])
        self.out = nn.Conv3d(filters, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the classes.

        Parameters
        ----------
        image : (N, C, X, Y, Z) tensor

        Returns
        -------
        logits : (N, K, X, Y, Z) tensor
        """
        features, crop = padded(image, self.multiple)
        skipped: list[Tensor] = []
        for level, down in enumerate(self.downs):
            if level:
                features = functional.max_pool3d(features, 2)
            features = down(features)
            skipped.append(features)
        for up, join, skip in zip(self.ups, self.joins, skipped[-2::-1], strict=True):
            features = join(torch.cat([up(features), skip], dim=1))
        logits: Tensor = self.out(features)[crop]
        return logits


def _two(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(ConvReluNorm(channels, filters), ConvReluNorm(filters, filters))
