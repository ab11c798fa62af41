"""A U-net that works on voxels of twice the edge: each channel it is given holds every second voxel.

Most of a U-net's work is done at its finest level, and so is most of a training on CPUs. Here the finest level has an
eighth of the voxels; the eight labels of each of its voxels are eight groups of output channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.networks.architectures.blocks import ConvReluNorm, padded

IMAGES = 2
"""Channels that are images (T1w, T2w); the others are an atlas, one channel a class."""

_LEVELS = 4


class SpaceToDepthUNet(nn.Module):
    """Space-to-depth U-net with an atlas as one channel a class.

    Images are taken apart into their eight interleaved parts, so that no voxel is lost; of the atlas each
    coarse voxel sees the share of every class, so that no codes are averaged. Up-convolutions halve the number of
    channels (Ronneberger et al. 2015).

    Parameters
    ----------
    classes : int
        Of the output, and of the atlas.
    filters : int
        Of the first level, doubling at each of three subsamplings.
    """

    multiple = 2**_LEVELS

    def __init__(self, classes: int, filters: int) -> None:
        super().__init__()
        self.classes = classes
        widths = [filters * 2**level for level in range(_LEVELS)]
        seen = [IMAGES * 8 + classes, *widths]
        self.downs = nn.ModuleList(_two(before, width) for before, width in zip(seen, widths, strict=False))
        self.ups = nn.ModuleList(nn.ConvTranspose3d(width, width // 2, 2, stride=2) for width in widths[:0:-1])
        self.joins = nn.ModuleList(_two(width, width // 2) for width in widths[:0:-1])
        self.out = nn.Conv3d(filters, classes * 8, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the classes.

        Parameters
        ----------
        image : (N, 2 + K, X, Y, Z) tensor
            T1w, T2w, and the atlas in K channels of 0 and 1; zeros throughout where there is none.

        Returns
        -------
        logits : (N, K, X, Y, Z) tensor
        """
        whole, crop = padded(image, self.multiple)
        features = torch.cat([_to_depth(whole[:, :IMAGES]), functional.avg_pool3d(whole[:, IMAGES:], 2)], dim=1)
        skipped: list[Tensor] = []
        for level, down in enumerate(self.downs):
            if level:
                features = functional.max_pool3d(features, 2)
            features = down(features)
            skipped.append(features)
        for up, join, skip in zip(self.ups, self.joins, skipped[-2::-1], strict=True):
            features = join(torch.cat([skip, up(features)], dim=1))
        logits: Tensor = _to_space(self.out(features), self.classes)[crop]
        return logits


def _two(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(ConvReluNorm(channels, filters), ConvReluNorm(filters, filters))


def _to_depth(image: Tensor) -> Tensor:
    """(N, C, X, Y, Z) -> (N, 8 C, X/2, Y/2, Z/2)."""
    n, c, x, y, z = image.shape
    parts = image.reshape(n, c, x // 2, 2, y // 2, 2, z // 2, 2).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return parts.reshape(n, 8 * c, x // 2, y // 2, z // 2)


def _to_space(parts: Tensor, channels: int) -> Tensor:
    """(N, 8 C, X, Y, Z) -> (N, C, 2 X, 2 Y, 2 Z): the inverse of `_to_depth`."""
    n, _, x, y, z = parts.shape
    whole = parts.reshape(n, channels, 2, 2, 2, x, y, z).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return whole.reshape(n, channels, 2 * x, 2 * y, 2 * z)
