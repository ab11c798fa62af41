"""Super-resolution: an image with twice as many voxels a side (section 3.8; residual blocks of He et al. 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.networks.architectures.blocks import device_of
from cerebatch.spatial.space import Volume

FACTOR = 2
FILTERS = 32
BLOCKS = 5


class SuperResolution(nn.Module):
    """What linear interpolation lacks is found at the coarse resolution and dealt out to the eight finer voxels.

    There is no normalisation inside: it would take from an image its level and its contrast, which are to stay.

    Parameters
    ----------
    filters, blocks : int
        Of the residual blocks, two convolutions each.
    """

    def __init__(self, filters: int = FILTERS, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, filters, 3, padding=1)
        self.blocks = nn.ModuleList(_Residual(filters) for _ in range(blocks))
        self.last = nn.Conv3d(filters, FACTOR**3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, image: Tensor) -> Tensor:
        """An image on the finer grid.

        Parameters
        ----------
        image : (N, 1, X, Y, Z) tensor

        Returns
        -------
        finer : (N, 1, 2 X, 2 Y, 2 Z) tensor
            Voxel ``2 i`` and ``2 i + 1`` share voxel ``i``.
        """
        features = self.first(image)
        for block in self.blocks:
            features = block(features)
        return interpolated(image) + dealt(self.last(features))


class _Residual(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.one = nn.Conv3d(filters, filters, 3, padding=1)
        self.other = nn.Conv3d(filters, filters, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.other(functional.relu(self.one(features)))
        return added


def dealt(parts: Tensor) -> Tensor:
    """Eight channels to the eight voxels of each coarse one: (N, 8, X, Y, Z) to (N, 1, 2 X, 2 Y, 2 Z)."""
    n, _, x, y, z = parts.shape
    split = parts.reshape(n, FACTOR, FACTOR, FACTOR, x, y, z)
    return split.permute(0, 4, 1, 5, 2, 6, 3).reshape(n, 1, FACTOR * x, FACTOR * y, FACTOR * z)


def interpolated(image: Tensor) -> Tensor:
    """Linear interpolation to twice the voxels a side."""
    return functional.interpolate(image, scale_factor=FACTOR, mode="trilinear", align_corners=False)


def coarse(image: Tensor) -> Tensor:
    """The image that a scanner with voxels twice as long would see: means of eight; (N, 1, X, Y, Z)."""
    return functional.avg_pool3d(image, FACTOR)


def refined(network: nn.Module, image: Volume) -> Volume:
    """Super-resolution of an image.

    Parameters
    ----------
    network : SuperResolution
        Trained.
    image : (X, Y, Z) float32
        In any unit; not negative.

    Returns
    -------
    finer : (2 X, 2 Y, 2 Z) float32
        Not negative.
    """
    level, spread = float(image.mean()), float(image.std()) or 1.0
    with torch.inference_mode():
        seen = torch.from_numpy((image - np.float32(level)) / np.float32(spread))[None, None]
        finer = network(seen.to(device_of(network)))[0, 0].float().cpu().numpy()
    found: Volume = np.maximum(finer * np.float32(spread) + np.float32(level), np.float32(0))
    return found
