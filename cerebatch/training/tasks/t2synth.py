"""T2 synthesis is learnt from library cases: any T1-like image of them in, their clean T2w out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.library.store import Library
from cerebatch.library.tissues import INTENSITIES, TISSUES
from cerebatch.networks.auxiliary.t2synth import UNIT, as_input, network
from cerebatch.networks.card import HelperCard
from cerebatch.networks.inputs import brain_region
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.contrast import random_intensities, render
from cerebatch.training.transforms.deformation import Strength, deformed, random_grid
from cerebatch.training.transforms.flaws import degraded, extraction

_T2W = torch.tensor([INTENSITIES["T2w"][name] for name in TISSUES])
_BRAIN = [TISSUES.index(name) for name in ("CSF", "GM", "WM")]
_CHECKED = 4


class T2SynthLesson:
    """A network tells how bright each voxel would be in a T2w.

    Parameters
    ----------
    library : Library
    hold_out : tuple of str
        People that are kept for validation.
    """

    card = HelperCard
    figures = ("absolute_error", "correlation")

    def __init__(self, library: Library, hold_out: tuple[str, ...] = ()) -> None:
        self._library = library
        self._region = brain_region(library.resolution)
        known = [k for k, rendered in enumerate(library.rendered) if rendered]  # others have no tissues
        self._own = [k for k in known if library.persons[k] not in hold_out]
        self._held_out = [k for k in known if library.persons[k] in hold_out and not library.mirrored[k]][:_CHECKED]
        self._shares = {k: torch.from_numpy(library.tissue(k)) for k in (*self._own, *self._held_out)}

    def network(self) -> nn.Module:
        """One with random weights."""
        return network()

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Mean absolute difference in the region, in units of fluid."""
        torch.manual_seed(seed)
        shares = self._shares[self._own[int(torch.randint(len(self._own), (1,)))]].float()
        shares = deformed(shares, random_grid(self._library.grid.shape, self._library.resolution, Strength()))
        found, truth = self._answered(forward, shares)
        return (found - truth).abs().mean()

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Mean absolute difference and correlation in the region, on held-out people."""
        scores = []
        for index in self._held_out:
            torch.manual_seed(index)
            found, truth = self._answered(forward, self._shares[index].float())
            both = torch.stack([found, truth]).double()
            scores.append((float((found - truth).abs().mean()), float(torch.corrcoef(both)[0, 1])))
        return np.mean(scores, axis=0) if scores else np.full(len(self.figures), np.nan)

    def _answered(self, forward: Forward, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Found and true T2w of the region's voxels, (N,) each."""
        mask = extraction(shares[_BRAIN].sum(0) / 255)
        t1w = degraded(render(shares, random_intensities("T1-like"))) * mask
        truth = render(shares, _T2W) * mask / UNIT
        found = forward(as_input(t1w.numpy(), self._region))[0, 0].float()
        region = torch.from_numpy(self._region).to(found.device)
        return found[region], truth.to(found.device)[region]
