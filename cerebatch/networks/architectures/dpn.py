"""The deep pyramidal network: from coarse to fine without an encoder (section 2.2, figure 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.networks.architectures.blocks import ConvReluNorm, padded

LEVELS = 4
_BLOCKS = 3
_DROPOUT = 0.25


class DPN(nn.Module):
    """Deep pyramidal network.

    Each level sees the input subsampled to it beside the features of the coarser level, brought up by a transposed
    convolution. The paper gives 696,177 parameters for two networks without an atlas; with three channels
    these are 695,345.

    Parameters
    ----------
    channels : int
        Of the input.
    classes : int
    filters : int
        Of all levels; 32 in the paper.
    """

    multiple = 2 ** (LEVELS - 1)

    def __init__(self, channels: int, classes: int, filters: int = 32) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                ConvReluNorm(channels + (filters if level else 0), filters),
                *(ConvReluNorm(filters, filters) for _ in range(_BLOCKS - 1)),
                nn.Dropout(_DROPOUT) if level < LEVELS - 1 else nn.Identity(),
            )
            for level in range(LEVELS)
        )
        self.ups = nn.ModuleList(nn.ConvTranspose3d(filters, filters, 2, stride=2) for _ in range(LEVELS - 1))
        self.out = nn.Conv3d(filters, classes, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the classes.

        Parameters
        ----------
        image : (N, C, X, Y, Z) tensor

        Returns
        -------
        logits : (N, K, X, Y, Z) tensor
        """
        whole, crop = padded(image, self.multiple)
        features = self.levels[0](_subsampled(whole, 2 ** (LEVELS - 1)))
        for level in range(1, LEVELS):
            seen = _subsampled(whole, 2 ** (LEVELS - 1 - level))
            features = self.levels[level](torch.cat([seen, self.ups[level - 1](features)], dim=1))
        logits: Tensor = self.out(features)[crop]
        return logits


def _subsampled(image: Tensor, factor: int) -> Tensor:
    return functional.avg_pool3d(image, factor) if factor > 1 else image
