"""Where a head lies: a small network names structures at 5 mm and tells each voxel's place in the template.

It sees any contrast in any pose, whole heads and extracted brains, cut fields of view. Places are regressed voxel by
voxel (Gopinath et al. 2024, Registration by Regression), so that a field of view that cuts a structure does not move
what is left of it, as it would move the structure's centroid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.architectures.space_to_depth import to_depth, to_space
from cerebatch.networks.architectures.unet import UNet
from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.space import Affine, Grid, Volume, inverse, resample
from cerebatch.spatial.whereabouts import Whereabouts, fitted_affine

VOXEL_MM = 5.0
SIDE = 48
FILTERS = 16

STRUCTURES = (
    "outside", "left cerebral white matter", "right cerebral white matter", "left cortex", "right cortex",
    "left lateral ventricle", "right lateral ventricle", "left deep grey matter", "right deep grey matter",
    "left hippocampus and amygdala", "right hippocampus and amygdala", "left cerebellum", "right cerebellum",
    "brain stem", "third ventricle", "fourth ventricle", "other fluid and vessels", "soft tissue", "bone",
    "spinal cord",
)  # fmt: skip
CAVITY = slice(1, 17)
"""Of `STRUCTURES`: what lies inside the skull."""

PLACE_MM = 100.0
"""Unit of the places that the network gives."""

_VIEW_CENTRE_MM = np.array([0.0, -20.0, -8.0])
_SUPERSAMPLING = 2
_LOOKS = 3
_BRIGHTEST = 99.5


class HeadNetwork(nn.Module):
    """U-net on interleaved parts of the image: structures on its voxels, places on voxels of twice the edge.

    Parameters
    ----------
    filters : int
    """

    def __init__(self, filters: int = FILTERS) -> None:
        super().__init__()
        self.unet = UNet(8, 8 * len(STRUCTURES) + 3, filters)

    def forward(self, image: Tensor) -> Tensor:
        """What `split` takes apart.

        Parameters
        ----------
        image : (N, 1, X, Y, Z) tensor

        Returns
        -------
        answer : (N, 8 K + 3, X / 2, Y / 2, Z / 2) tensor
        """
        answer: Tensor = self.unet(to_depth(image))
        return answer


def network() -> nn.Module:
    """A network with random weights."""
    return HeadNetwork()


def split(answer: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the structures and places of an answer.

    Returns
    -------
    logits : (K, X, Y, Z) tensor
    places : (3, X / 2, Y / 2, Z / 2) tensor
        MNI millimetres.
    """
    count = 8 * len(STRUCTURES)
    return to_space(answer[:, :count], len(STRUCTURES))[0].float(), answer[0, count:].float() * PLACE_MM


def as_input(seen: Tensor) -> Tensor:
    """What the network takes: z-scores of an image without its brightest voxels, (1, 1, X, Y, Z)."""
    values = seen.flatten()
    bright = values[values > values.mean()]
    top = torch.quantile(bright[:: max(1, len(bright) // 10_000)], _BRIGHTEST / 100) if len(bright) else values.max()
    clipped = seen.clamp(max=float(top))
    spread = clipped.std()
    return ((clipped - clipped.mean()) / (spread if spread > 0 else 1.0))[None, None]


def view() -> Grid:
    """Voxels of the network, centred on the origin of the frame that it looks from."""
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -VOXEL_MM * (SIDE - 1) / 2
    return Grid((SIDE, SIDE, SIDE), affine)


def coarse_points() -> NDArray[np.float64]:
    """Centres of the voxels of the places, mm of the view, (N, 3) in the order of a ravelled array."""
    half = SIDE // 2
    index = np.moveaxis(np.indices((half, half, half)), 0, -1).reshape(-1, 3)
    return np.asarray((index - (half - 1) / 2) * 2 * VOXEL_MM, dtype=np.float64)


@dataclass(frozen=True)
class Look:
    """What the network saw from one place.

    Attributes
    ----------
    shares : (K, X, Y, Z) float32
        Probability of each structure.
    places : (3, X / 2, Y / 2, Z / 2) float32
        MNI millimetres.
    native_from_view : (4, 4) float
    """

    shares: Volume
    places: Volume
    native_from_view: Affine

    @property
    def cavity_cm3(self) -> float:
        """Volume inside the skull."""
        voxel_mm3 = VOXEL_MM**3 * abs(float(np.linalg.det(self.native_from_view[:3, :3])))
        return float(self.shares[CAVITY].sum()) * voxel_mm3 / 1000

    def whereabouts(self) -> Whereabouts:
        """The affine that the places have in common."""
        half = SIDE // 2
        inside = self.shares[CAVITY].sum(axis=0).reshape(half, 2, half, 2, half, 2).mean(axis=(1, 3, 5)).ravel()
        points = coarse_points()
        chosen = inside > 0.5
        fitted, error_mm = fitted_affine(points[chosen], self.places.reshape(3, -1).T[chosen].astype(np.float64))
        return Whereabouts(fitted @ inverse(self.native_from_view), error_mm, self.cavity_cm3)


def look(head: nn.Module, image: Volume, grid: Grid, native_from_view: Affine) -> Look:
    """Show a scan to the network.

    Parameters
    ----------
    head : Module
        Trained `network`.
    image : (X, Y, Z) float32
    grid : Grid
        Native.
    native_from_view : (4, 4) float
        Millimetres of `view` -> native millimetres.
    """
    fine = VOXEL_MM / _SUPERSAMPLING
    side = SIDE * _SUPERSAMPLING
    affine = np.diag([fine, fine, fine, 1.0])
    affine[:3, 3] = -fine * (side - 1) / 2
    sampled = resample(image, grid, Grid((side, side, side), affine), native_from_view, order=1)
    parts = sampled.reshape(SIDE, _SUPERSAMPLING, SIDE, _SUPERSAMPLING, SIDE, _SUPERSAMPLING)
    seen = torch.from_numpy(np.ascontiguousarray(parts.mean(axis=(1, 3, 5)), dtype=np.float32))
    with torch.inference_mode():
        logits, places = split(head(as_input(seen).to(device_of(head))))
        shares = logits.softmax(dim=0)
    return Look(shares.cpu().numpy(), places.cpu().numpy(), native_from_view)


def find_head(head: nn.Module, image: Volume, grid: Grid) -> Whereabouts:
    """Where the head lies, looked at first as a whole, then centred, upright and at the template's scale.

    Parameters
    ----------
    head : Module
        Trained `network`.
    image : (X, Y, Z) float32
        Any contrast.
    grid : Grid
        Native.
    """
    small, small_grid = reduced(image, grid, VOXEL_MM / _SUPERSAMPLING)
    first = look(head, small, small_grid, _whole_field(grid))
    found = first.whereabouts()
    upright = np.eye(4)
    upright[:3, 3] = _VIEW_CENTRE_MM
    for _ in range(_LOOKS - 1):
        if not found.usable:
            break
        again = look(head, small, small_grid, inverse(found.mni_from_native) @ upright).whereabouts()
        if not again.usable:
            break
        found = again
    return found


def _whole_field(grid: Grid) -> Affine:
    """A view of everything: centred on the field of view, its voxels larger where that is larger."""
    corners = grid.corners_mm()
    largest_mm = float(np.ptp(corners, axis=0).max())
    scale = max(1.0, largest_mm / (SIDE * VOXEL_MM))
    native_from_view = np.diag([scale, scale, scale, 1.0])
    native_from_view[:3, 3] = corners.mean(axis=0)
    return native_from_view
