"""The intracranial cavity, seen by a small network (section 3.8: Deep ICE, [37])."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.measures.icv import Icv
from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.architectures.unet import UNet
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.spatial.space import Affine, Grid, Volume, inverse, resample

VOXEL_MM = 2.0
FILTERS = 8
BOX_MM = ((-88.0, 88.0), (-120.0, 88.0), (-98.0, 94.0))
"""Outer faces of what the network sees, in MNI millimetres (x, y, z): the cavity and 10 mm of what is around it."""

ERROR_SD = "SD of the error in per cent, heads left out"
"""Name of this score in the card."""

_FINE = 2
"""Voxels of the scan are averaged over so many fine ones a side."""


def network() -> nn.Module:
    """A network with random weights: one image in, the logit of the cavity out."""
    return UNet(1, 1, FILTERS)


@cache
def head_grid(voxel_mm: float = VOXEL_MM) -> Grid:
    """Grid of the box in the MNI frame; it belongs to a head once its affine is known."""
    x, y, z = (round((high - low) / voxel_mm) for low, high in BOX_MM)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = [low + voxel_mm / 2 for low, _ in BOX_MM]
    return Grid((x, y, z), affine)


def on_head_grid(image: NDArray[np.floating], grid: Grid, mni_from_native: Affine) -> Volume:
    """An image in the box, each voxel a mean of finer samples.

    Parameters
    ----------
    image : (X, Y, Z) float
    grid : Grid
        Native.
    mni_from_native : (4, 4) float

    Returns
    -------
    seen : (88, 104, 96) float32
        On `head_grid`.
    """
    fine = resample(image, grid, head_grid(VOXEL_MM / _FINE), inverse(mni_from_native), order=1)
    x, y, z = head_grid().shape
    return np.asarray(fine.reshape(x, _FINE, y, _FINE, z, _FINE).mean(axis=(1, 3, 5)), dtype=np.float32)


def as_input(seen: Tensor) -> Tensor:
    """What the network takes: z-scores, (1, 1, X, Y, Z)."""
    spread = seen.std()
    return ((seen - seen.mean()) / (spread if spread > 0 else 1.0))[None, None]


def cavity_share(cavity: nn.Module, seen: Volume) -> Volume:
    """Probability of each voxel to lie inside the skull.

    Parameters
    ----------
    cavity : Module
        Trained `network`.
    seen : (88, 104, 96) float32
        From `on_head_grid`.
    """
    with torch.inference_mode():
        logits = cavity(as_input(torch.from_numpy(seen)).to(device_of(cavity)))
    share: Volume = logits[0, 0].float().sigmoid().cpu().numpy()
    return share


def measured(cavity: nn.Module, weights: Path, image: Volume, grid: Grid, mni_from_native: Affine) -> Icv:
    """Intracranial volume of a whole head, with the network's name and the error that its card tells.

    Parameters
    ----------
    cavity : Module
        Trained `network`.
    weights : Path
        Its weights.
    image, grid, mni_from_native
        As of `measured_icv_cm3`.
    """
    card = read_card(weights, HelperCard)
    return Icv(
        Method=f"network of the intracranial cavity, weights {card.sha256[:12]}",
        VolumeCM3=measured_icv_cm3(cavity, image, grid, mni_from_native),
        ErrorPercentSD=card.scores.get(ERROR_SD),
    )


def measured_icv_cm3(cavity: nn.Module, image: Volume, grid: Grid, mni_from_native: Affine) -> float:
    """Intracranial volume of a whole head in cm3: the sum of the probabilities, so that partial voxels count in part.

    Parameters
    ----------
    cavity : Module
        Trained `network`.
    image : (X, Y, Z) float32
        T1-weighted scan with its skull.
    grid : Grid
        Native.
    mni_from_native : (4, 4) float
    """
    share = cavity_share(cavity, on_head_grid(image, grid, mni_from_native))
    return float(share.sum()) * VOXEL_MM**3 / 1000 / float(np.linalg.det(mni_from_native[:3, :3]))
