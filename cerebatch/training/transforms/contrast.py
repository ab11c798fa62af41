"""Random contrasts: one intensity a tissue, and never one a lobule.

A border that only the simulator knows must not be seen. An image is the mean of its tissues' intensities, weighted
by their shares of each voxel, so that two lobules can differ in nothing but where their tissues lie.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cerebatch.intensity.tissue import Contrast
from cerebatch.library.tissues import INTENSITIES, TISSUES

Kind = Literal["T1-like", "T2-like", "arbitrary"]

_SPREAD: dict[str, float] = {"CSF": 0.12, "GM": 0.06, "WM": 0.06}
"""Standard deviation of a tissue's intensity around its target, as a share of the range from fluid to the brightest
brain tissue. `prepare` brings the brain of real scans to the targets; what lies around it is not normalised."""
_OTHER_SPREAD = 0.3


def random_intensities(kind: Kind) -> Tensor:
    """Intensity of each of `TISSUES`, (T,); draws from torch's global generator."""
    if kind == "arbitrary":
        return torch.rand(len(TISSUES)) * 250
    contrast: Contrast = "T1w" if kind == "T1-like" else "T2w"
    targets = INTENSITIES[contrast]
    brain = [targets[name] for name in ("CSF", "GM", "WM")]
    spread = torch.tensor([_SPREAD.get(name, _OTHER_SPREAD) for name in TISSUES]) * (max(brain) - min(brain))
    drawn = torch.tensor([targets[name] for name in TISSUES]) + torch.randn(len(TISSUES)) * spread
    return drawn.clamp(min=0.0)


def render(shares: Tensor, intensities: Tensor) -> Tensor:
    """Image of a case.

    Parameters
    ----------
    shares : (T, X, Y, Z) tensor of uint8
        Share of each tissue in 1/255.
    intensities : (T,) tensor

    Returns
    -------
    image : (X, Y, Z) float32 tensor
    """
    return torch.einsum("txyz,t->xyz", shares.float(), intensities / 255)
