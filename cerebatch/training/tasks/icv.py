"""The intracranial cavity is learnt from whole-head label maps, in random contrasts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.building.head import read_head_codes
from cerebatch.io.atomic import written_whole
from cerebatch.io.labelmaps import map_name
from cerebatch.library.tissues import TISSUE_OF_CODE, TISSUES, rendered
from cerebatch.networks.auxiliary.intracranial import VOXEL_MM, as_input, head_grid, network, on_head_grid
from cerebatch.networks.card import HelperCard
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Volume
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.contrast import Kind, random_intensities, render
from cerebatch.training.transforms.deformation import Strength, deformed, random_grid
from cerebatch.training.transforms.draw import choice
from cerebatch.training.transforms.flaws import degraded

OUTSIDE = 500
"""Codes of a head map from here on lie outside the brain; below 200 they lie inside the skull."""

_CONTRASTS: dict[Kind, float] = {"T1-like": 0.7, "T2-like": 0.1, "arbitrary": 0.2}
_STRENGTH = Strength(degrees=6.0, scale=0.08, shift_mm=4.0, elastic_mm=((60.0, 3.0), (25.0, 1.5)))
_CUT = 0.3
_SMOOTHING = 1.0


@dataclass(frozen=True)
class HeadShares:
    """Head maps in the box of the network, kept on disk.

    Attributes
    ----------
    paths : tuple of Path
        Head maps (`library.head`).
    folder : Path
        Where what was made of them is kept.
    """

    paths: tuple[Path, ...]
    folder: Path

    def make(self, processes: int) -> Iterator[str]:
        """Bring heads to the box that are not there yet; yields the name of each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [path for path in self.paths if not self._kept(path).exists()]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_make, missing, map(self._kept, missing))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the heads."""
        return tuple(map_name(path) for path in self.paths)

    def read(self, index: int) -> tuple[Tensor, float]:
        """Shares of a head, and its volume inside the skull.

        Returns
        -------
        shares : (T + 1, X, Y, Z) uint8 tensor
            Share in 1/255 of each of `TISSUES`, and of what lies inside the skull.
        icv_cm3 : float
            Counted in the head map itself.
        """
        with np.load(self._kept(self.paths[index])) as file:
            return torch.from_numpy(file["shares"]), float(file["icv_cm3"])

    def scale(self, index: int) -> float:
        """Determinant of the affine head -> MNI."""
        with np.load(self._kept(self.paths[index])) as file:
            return float(file["determinant"])

    def _kept(self, path: Path) -> Path:
        return self.folder / f"{map_name(path)}.npz"


class IcvLesson:
    """A network finds the inside of the skull.

    Parameters
    ----------
    heads : HeadShares
        Made.
    hold_out : tuple of str
        Names of heads that are kept for validation.
    """

    figures = ("dice", "error_percent")
    card = HelperCard

    def __init__(self, heads: HeadShares, hold_out: tuple[str, ...] = ()) -> None:
        known = range(len(heads.names))
        self._own = [heads.read(k) for k in known if heads.names[k] not in hold_out]
        self._held_out = [(*heads.read(k), heads.scale(k)) for k in known if heads.names[k] in hold_out]

    def network(self) -> nn.Module:
        """One with random weights."""
        return network()

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Dice and cross-entropy against the share of each voxel that lies inside the skull."""
        torch.manual_seed(seed)
        shares, _ = self._own[int(torch.randint(len(self._own), (1,)))]
        grid = random_grid(head_grid().shape, VOXEL_MM, _STRENGTH)
        moved = deformed(shares.float(), grid)
        if torch.rand(1) < 0.5:
            moved = moved.flip(1)
        image = _cut(degraded(render(moved[:-1], random_intensities(choice(_CONTRASTS)))))
        logits = forward(as_input(image))[0, 0].float()
        truth = (moved[-1] / 255).to(logits.device)
        share = logits.sigmoid()
        dice = (2 * (share * truth).sum() + _SMOOTHING) / (share.sum() + truth.sum() + _SMOOTHING)
        return 1 - dice + functional.binary_cross_entropy_with_logits(logits, truth)

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Dice, and the error of the volume in per cent without its sign, on T1-like images of held-out heads."""
        found = []
        for seed, (shares, icv_cm3, determinant) in enumerate(self._held_out):
            torch.manual_seed(seed)
            image = degraded(render(shares[:-1].float(), random_intensities("T1-like")))
            share = forward(as_input(image))[0, 0].float().sigmoid().cpu()
            truth = shares[-1].float() / 255
            dice = float(2 * ((share > 0.5) & (truth > 0.5)).sum() / ((share > 0.5).sum() + (truth > 0.5).sum()))
            measured = float(share.sum()) * VOXEL_MM**3 / 1000 / determinant
            found.append((dice, 100 * abs(measured / icv_cm3 - 1)))
        return np.mean(found, axis=0) if found else np.full(len(self.figures), np.nan)


def _cut(image: Tensor) -> Tensor:
    """Sometimes the field of view ends early, at the neck or the crown."""
    if torch.rand(1) >= _CUT:
        return image
    low, high = (int(torch.randint(0, share, (1,))) for share in (12, 4))
    seen = torch.zeros_like(image)
    inside = slice(low, image.shape[2] - high)
    seen[:, :, inside] = image[:, :, inside]
    return seen


def _make(path: Path, target: Path) -> str:
    codes, grid = read_head_codes(path)
    tissues = np.zeros(int(codes.max()) + 1, dtype=np.uint8)
    for code, tissue in TISSUE_OF_CODE.items():
        if code < tissues.size:
            tissues[code] = tissue
    masks = [(tissues[codes] == k).astype(np.float32) for k in range(len(TISSUES))]
    inside = (codes > 0) & (codes < OUTSIDE)
    image = rendered(dict(zip(TISSUES, masks, strict=True)), "T1w")
    mni_from_native = register_to_template(image, grid, seed=1).mni_from_native
    seen: list[Volume] = [on_head_grid(mask, grid, mni_from_native) for mask in (*masks, inside.astype(np.float32))]
    # What lies beyond the map's edge is air.
    seen[0] += 1 - np.sum(seen[:-1], axis=0)
    with written_whole(target) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(
            stream,
            shares=np.round(255 * np.stack(seen)).astype(np.uint8),
            icv_cm3=inside.sum() * grid.voxel_volume_mm3 / 1000,
            determinant=np.linalg.det(mni_from_native[:3, :3]),
        )
    return map_name(path)
