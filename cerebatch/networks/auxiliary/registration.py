"""Deformable registration by a network: one pass instead of a minimisation (section 2.3; [39], [40]).

The network sees both images and gives a stationary velocity field in mm on voxels twice as long. Its exponential, by
scaling and squaring (Arsigny et al. 2006), is a diffeomorphism.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.errors import SettingsError
from cerebatch.intensity.standardise import standardised
from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.architectures.unet import UNet
from cerebatch.spatial.deformable import Register
from cerebatch.spatial.space import Field, Volume

REDUCTION = 2
"""Voxels of the images along a voxel of the velocity."""

FILTERS = 32
_SQUARINGS = 6
_FIRST_WEIGHTS = 1e-3


class RegistrationNetwork(nn.Module):
    """Fixed and moving image in, velocity out.

    Parameters
    ----------
    filters : int
        Of the U-net's first level.
    """

    def __init__(self, filters: int = FILTERS) -> None:
        super().__init__()
        self.unet = UNet(2 * REDUCTION**3, 3, filters)
        nn.init.normal_(self.unet.out.weight, std=_FIRST_WEIGHTS)
        if self.unet.out.bias is not None:
            nn.init.zeros_(self.unet.out.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Velocity in mm.

        Parameters
        ----------
        images : (N, 2, X, Y, Z) tensor
            Fixed and moving image, z-scored; even sides.

        Returns
        -------
        velocity : (N, 3, X / 2, Y / 2, Z / 2) tensor
        """
        velocity: Tensor = self.unet(_folded(images))
        return velocity


def displacement_mm(velocity: Tensor, voxel_mm: float) -> Tensor:
    """Exponential of a velocity field.

    Parameters
    ----------
    velocity : (N, 3, x, y, z) float32 tensor
        In mm.
    voxel_mm : float
        Edge of a voxel of the images; those of the velocity are `REDUCTION` times as long.

    Returns
    -------
    moved_mm : (N, 3, x, y, z) tensor
        The moving image at ``position + moved_mm`` belongs to the fixed image at ``position``.
    """
    moved: Tensor = velocity / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        moved = moved + warped(moved, moved, voxel_mm * REDUCTION)
    return moved


def warped(images: Tensor, moved_mm: Tensor, voxel_mm: float) -> Tensor:
    """Images at ``position + moved_mm``, linear, continued by their edge.

    Parameters
    ----------
    images : (N, C, x, y, z) tensor
    moved_mm : (N, 3, x, y, z) tensor
    voxel_mm : float
    """
    shape = images.shape[2:]
    still = functional.affine_grid(torch.eye(3, 4, device=images.device)[None], [1, 1, *shape], align_corners=False)
    # The last axis of a grid goes z, y, x; a side of the image is two of its units.
    units = torch.tensor([2 / (n * voxel_mm) for n in shape], device=images.device)
    shifts = (moved_mm * units[None, :, None, None, None]).flip(1).permute(0, 2, 3, 4, 1)
    moved: Tensor = functional.grid_sample(
        images, still + shifts, mode="bilinear", padding_mode="border", align_corners=False
    )
    return moved


def enlarged(moved_mm: Tensor) -> Tensor:
    """Displacements on the grid of the images, (N, 3, X, Y, Z)."""
    return functional.interpolate(moved_mm, scale_factor=REDUCTION, mode="trilinear", align_corners=False)


def as_input(fixed: Volume, moving: Volume, region: NDArray[np.bool_]) -> Tensor:
    """What the network takes, (1, 2, X, Y, Z).

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        As `library.subject_atlas` shows them to a registration.
    region : (X, Y, Z) bool
        Whose z-scores are taken; the rest is left dark.
    """
    channels = [standardised(np.where(region, image, np.float32(0)), region) for image in (fixed, moving)]
    return torch.from_numpy(np.stack(channels))[None]


def by_network(network: nn.Module, trained_mm: float) -> Register:
    """The network in greedy's place; see `atlas.registering.register_cases`.

    Parameters
    ----------
    network : RegistrationNetwork
        Trained.
    trained_mm : float
        Edge of the voxels that it was trained on.
    """

    def register(
        scan: Volume, cases: Sequence[Volume], region: NDArray[np.bool_], voxel_mm: float, threads: int
    ) -> Iterator[Field]:
        if voxel_mm != trained_mm:
            raise SettingsError(
                f"the registration network: expected voxels of {trained_mm:g} mm, found {voxel_mm:g} mm. "
                "Run with --registration greedy."
            )
        for case in cases:
            with torch.inference_mode():
                velocity = network(as_input(scan, case, region).to(device_of(network))).float()
                moved = enlarged(displacement_mm(velocity, voxel_mm))[0] / voxel_mm
            yield np.ascontiguousarray(moved.permute(1, 2, 3, 0).cpu().numpy())

    return register


def _folded(images: Tensor) -> Tensor:
    """Neighbouring voxels as channels, so that the network works on the coarse grid and sees all of the fine one."""
    n, c, x, y, z = images.shape
    k = REDUCTION
    split = images.reshape(n, c, x // k, k, y // k, k, z // k, k)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * k**3, x // k, y // k, z // k)
