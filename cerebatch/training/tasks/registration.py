"""Registration is learnt from pairs of library cases: one deformed and with flaws, the other as it lies there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.atlas.registering import compared_region, seen_by_registration
from cerebatch.labels import LABELS
from cerebatch.library.store import Library
from cerebatch.networks.auxiliary.registration import (
    REDUCTION,
    RegistrationNetwork,
    as_input,
    displacement_mm,
    enlarged,
    warped,
)
from cerebatch.networks.card import HelperCard
from cerebatch.spatial.space import jacobian
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.contrast import random_intensities, render
from cerebatch.training.transforms.deformation import Strength, deformed, deformed_labels, random_grid
from cerebatch.training.transforms.flaws import degraded, extraction

SMOOTHNESS = 0.3
"""Weight of the squared gradient of the velocity, in mm per mm."""

LABEL_WEIGHT = 1.0
_WINDOW = 7
"""Edge in voxels of the neighbourhood in which images are correlated."""
_STRIDE = 2
"""Voxels from one such neighbourhood to the next."""
_ALONG = ((_WINDOW, 1), (_STRIDE, 1), (_WINDOW // 2, 0))
"""Edge, step and border of a mean along one axis, and along the others."""
_CHECKED = 6
_EPSILON = 1e-3


class RegistrationLesson:
    """A network brings library cases onto a scan.

    Parameters
    ----------
    library : Library
        At 1 mm.
    hold_out : tuple of str
        People that the network never sees; validation brings the others onto them.
    """

    card = HelperCard
    figures = ("dice", "dice_before", "folded_percent")

    def __init__(self, library: Library, hold_out: tuple[str, ...] = ()) -> None:
        self._library = library
        self._region = compared_region(library)
        known = [k for k, rendered in enumerate(library.rendered) if rendered]  # others have no tissues
        self._own = [k for k in known if library.persons[k] not in hold_out]
        self._held_out = [k for k in known if library.persons[k] in hold_out and not library.mirrored[k]]

    def network(self) -> nn.Module:
        """One with random weights."""
        return RegistrationNetwork()

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Local correlation of the images, smoothness of the velocity, overlap of the labels."""
        torch.manual_seed(seed)
        voxel_mm = self._library.resolution
        one, other = (self._own[int(torch.randint(len(self._own), (1,)))] for _ in range(2))
        fixed, labels = self._scan(one)
        moving = self._seen(self._library.image(other, "T1w"))
        images = as_input(fixed, moving, self._region)
        velocity = forward(images).float()
        coarse = displacement_mm(velocity, voxel_mm)
        images = images.to(velocity.device)
        found = warped(images[:, 1:], enlarged(coarse), voxel_mm)
        region = torch.from_numpy(self._region[::_STRIDE, ::_STRIDE, ::_STRIDE]).to(velocity.device)
        unlike = 1 - _local_correlation(images[0, 0], found[0, 0])[region].mean()
        carried = warped(
            _one_hot(torch.from_numpy(self._library.dseg(other))).to(velocity.device), coarse, REDUCTION * voxel_mm
        )
        apart = 1 - _dice(carried, _one_hot(labels).to(velocity.device))
        return unlike + LABEL_WEIGHT * apart + SMOOTHNESS * _roughness(velocity, voxel_mm)

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Soft Dice of the labels after and before, and the share of folded voxels in per cent."""
        scores, voxel_mm = [], self._library.resolution
        step = max(1, len(self._held_out) // _CHECKED)
        for place, index in enumerate(self._held_out[::step][:_CHECKED]):
            other = self._own[(7 * place) % len(self._own)]
            torch.manual_seed(index)
            fixed = self._seen(degraded(torch.from_numpy(self._library.image(index, "T1w"))).numpy())
            moving = self._seen(self._library.image(other, "T1w"))
            coarse = displacement_mm(forward(as_input(fixed, moving, self._region)).float(), voxel_mm).cpu()
            truth, moved = (_one_hot(torch.from_numpy(self._library.dseg(k))) for k in (index, other))
            after = _dice(warped(moved, coarse, REDUCTION * voxel_mm), truth)
            scores.append((float(after), float(_dice(moved, truth)), 100 * folded_share(enlarged(coarse), voxel_mm)))
        return np.mean(scores, axis=0) if scores else np.full(len(self.figures), np.nan)

    def _scan(self, index: int) -> tuple[NDArray[np.float32], Tensor]:
        """A deformed case with a scanner's flaws, as a registration sees it, and its labels."""
        library = self._library
        grid = random_grid(library.grid.shape, library.resolution, Strength())
        shares = deformed(torch.from_numpy(library.tissue(index)).float(), grid)
        labels = deformed_labels(torch.from_numpy(library.dseg(index))[None], grid)[0]
        image = degraded(render(shares, random_intensities("T1-like"))) * extraction(shares[1:4].sum(0) / 255)
        return self._seen(image.numpy()), labels

    def _seen(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return seen_by_registration(image, self._library.resolution)


def folded_share(moved_mm: Tensor, voxel_mm: float) -> float:
    """Share of voxels where the Jacobian of a displacement field is not positive.

    Parameters
    ----------
    moved_mm : (1, 3, X, Y, Z) tensor
    voxel_mm : float
    """
    field = (moved_mm[0] / voxel_mm).permute(1, 2, 3, 0).numpy()
    return float(np.mean(jacobian(field) <= 0))


def _one_hot(dseg: Tensor) -> Tensor:
    """Share of each structure in each voxel of the coarse grid, (1, 26, x, y, z)."""
    x, y, z = (n // REDUCTION for n in dseg.shape)
    blocks = dseg.reshape(x, REDUCTION, y, REDUCTION, z, REDUCTION).permute(0, 2, 4, 1, 3, 5).reshape(x * y * z, -1)
    share = torch.full((1, 1), 1 / blocks.shape[1]).expand(blocks.shape)
    shares = torch.zeros(x * y * z, len(LABELS) + 1).scatter_add_(1, blocks.long(), share)
    return shares[:, 1:].T.reshape(1, len(LABELS), x, y, z)


def _dice(found: Tensor, truth: Tensor) -> Tensor:
    """Mean soft Dice of the structures that are there."""
    axes = (0, 2, 3, 4)
    sizes = found.sum(axes) + truth.sum(axes)
    scores: Tensor = 2 * torch.minimum(found, truth).sum(axes) / sizes.clamp(min=_EPSILON)
    return scores[sizes > 0].mean()


def _local_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Squared correlation of two images in the neighbourhood of every other voxel, (x, y, z)."""
    means = torch.stack([one, other, one * one, other * other, one * other])[None]
    for axis in range(3):  # one axis after the other is the mean over the cube, at a tenth of the price
        edge, step, border = ([n if axis == k else rest for k in range(3)] for n, rest in _ALONG)
        means = functional.avg_pool3d(means, edge, step, border, count_include_pad=False)
    mean_one, mean_other, square_one, square_other, product = means[0]
    cross = product - mean_one * mean_other
    spread = (square_one - mean_one**2).clamp(min=0) * (square_other - mean_other**2).clamp(min=0)
    squared: Tensor = cross**2 / (spread + _EPSILON**2)
    return squared


def _roughness(velocity: Tensor, voxel_mm: float) -> Tensor:
    """Mean squared gradient of a velocity field, in mm per mm."""
    slopes = [torch.diff(velocity, dim=axis) / (REDUCTION * voxel_mm) for axis in (2, 3, 4)]
    return torch.stack([(slope**2).mean() for slope in slopes]).sum()
