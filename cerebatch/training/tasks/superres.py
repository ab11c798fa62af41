"""Super-resolution is learnt from the library's tissues at 0.5 mm and from real scans, each made coarser by two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.library.store import Library
from cerebatch.networks.auxiliary.superres import SuperResolution, coarse, interpolated
from cerebatch.networks.card import HelperCard
from cerebatch.spatial.space import Volume
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.contrast import random_intensities, render

PATCH = 64
"""Edge of a fine patch in voxels."""

_NOISE = 0.03
"""Largest standard deviation of the noise of a made-up coarse image, as a share of its own."""
_SCANS = 0.5
"""How often a sample is of a real scan, where there are any."""
_LEAST_FILLED = 0.6
_TRIES = 50
_Thing = TypeVar("_Thing")


class SuperresLesson:
    """A network brings back what voxels of twice the length lose.

    Parameters
    ----------
    library : Library
        At the fine resolution.
    scans : sequence of (X, Y, Z) float32
        Real scans as they were stored, of any voxel size.
    hold_out : tuple of str
        People of the library that are kept for validation.
    checked : sequence of (X, Y, Z) float32
        Real scans for validation.
    """

    card = HelperCard
    figures = ("gain_made_up_db", "gain_real_db")

    def __init__(
        self,
        library: Library,
        scans: Sequence[Volume],
        *,
        hold_out: tuple[str, ...] = (),
        checked: Sequence[Volume] = (),
    ) -> None:
        self._library = library
        self._scans = [torch.from_numpy(scan) for scan in scans]
        self._checked = [torch.from_numpy(scan) for scan in checked]
        known = [k for k, rendered in enumerate(library.rendered) if rendered]  # others have no tissues
        self._own = [k for k in known if library.persons[k] not in hold_out and not library.mirrored[k]]
        self._held_out = [k for k in known if library.persons[k] in hold_out and not library.mirrored[k]]
        self._shares = {k: torch.from_numpy(library.tissue(k)) for k in self._own}

    def network(self) -> nn.Module:
        """One with random weights."""
        return SuperResolution()

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Mean absolute difference, in standard deviations of the coarse image."""
        torch.manual_seed(seed)
        real = bool(self._scans) and float(torch.rand(1)) < _SCANS
        fine = _patch(_one(self._scans)) if real else self._made_up(_one(self._own))
        for axis in range(3):
            if torch.rand(1) < 0.5:
                fine = fine.flip(axis)
        seen = coarse(fine[None, None])
        if not real:
            seen = seen + _NOISE * torch.rand(1) * seen.std() * torch.randn_like(seen)
        mean, spread = seen.mean(), seen.std().clamp(min=1e-6)
        found = forward((seen - mean) / spread).float()
        return functional.l1_loss(found, ((fine - mean) / spread)[None, None].to(found.device))

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """How many decibels nearer to the truth than linear interpolation, on library cases and on real scans."""
        torch.manual_seed(0)
        made_up = [_gain(forward, self._made_up(k)) for k in self._held_out[:4]]
        real = [_gain(forward, _patch(scan)) for scan in self._checked for _ in range(4)]
        return np.array([np.mean(gains) if gains else np.nan for gains in (made_up, real)])

    def _made_up(self, index: int) -> Tensor:
        shares = self._shares.get(index)
        if shares is None:
            shares = torch.from_numpy(self._library.tissue(index))
        intensities = random_intensities("T1-like")
        where = [slice(start, start + PATCH) for start in _corner(shares.shape[1:])]
        return render(shares[:, *where], intensities)


def _gain(forward: Forward, fine: Tensor) -> float:
    seen = coarse(fine[None, None])
    mean, spread = seen.mean(), seen.std().clamp(min=1e-6)
    truth = ((fine - mean) / spread)[None, None]
    found = forward((seen - mean) / spread).float().cpu()
    linear = interpolated((seen - mean) / spread)
    errors = [functional.mse_loss(one, truth) for one in (linear, found)]
    return float(10 * torch.log10(errors[0] / errors[1]))


def _patch(scan: Tensor) -> Tensor:
    """A random block of a scan that is mostly not background."""
    for _ in range(_TRIES):
        block = scan[tuple(slice(start, start + PATCH) for start in _corner(scan.shape))]
        if float((block > 0).float().mean()) > _LEAST_FILLED:
            break
    return block


def _corner(shape: Sequence[int]) -> list[int]:
    return [int(torch.randint(max(1, n - PATCH + 1), (1,))) for n in shape]


def _one(things: Sequence[_Thing]) -> _Thing:
    return things[int(torch.randint(len(things), (1,)))]
