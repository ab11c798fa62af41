"""Finding heads is learnt from whole-head label maps in random contrasts and poses (SynthSeg, Billot et al. 2023)."""

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

from cerebatch.building.head import read_head_codes
from cerebatch.io.labelmaps import map_name
from cerebatch.library.tissues import INTENSITIES, TISSUE_OF_CODE, TISSUES
from cerebatch.networks.auxiliary.head import CAVITY, PLACE_MM, coarse_points, network, split
from cerebatch.networks.card import HelperCard
from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.registration import COARSE_MM, register_to_template
from cerebatch.spatial.space import Affine, inverse
from cerebatch.spatial.whereabouts import fitted_affine
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.heads import CODES, HeadMap, HeadSample, draw_head

_PLACE_WEIGHT = 2.0
"""Of a mean error of 100 mm; 5 mm then weigh as much as a cross-entropy of 0.1."""
_SMOOTHING = 10.0
_CHECKS_A_HEAD = 5
_SMALL_MM = 2.0
TISSUE_INTENSITIES = np.array([INTENSITIES["T1w"][name] for name in TISSUES], dtype=np.float32)


@dataclass(frozen=True)
class HeadMaps:
    """Head maps and where they lie in MNI, kept on disk.

    Attributes
    ----------
    paths : tuple of Path
        Head maps (`building.head`).
    folder : Path
        Where what was made of them is kept.
    """

    paths: tuple[Path, ...]
    folder: Path

    def make(self, processes: int) -> Iterator[str]:
        """Bring heads to the template that are not there yet; yields the name of each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [path for path in self.paths if not self._kept(path).exists()]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_make, missing, map(self._kept, missing))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the heads."""
        return tuple(map_name(path) for path in self.paths)

    def read(self, index: int) -> HeadMap:
        """A head."""
        with np.load(self._kept(self.paths[index])) as file:
            return HeadMap(np.ascontiguousarray(file["ids"]), file["index_from_mni"])

    def _kept(self, path: Path) -> Path:
        return self.folder / f"{map_name(path)}.npz"


class HeadLesson:
    """A network names structures and tells the place of each voxel in the template.

    Parameters
    ----------
    heads : HeadMaps
        Made.
    hold_out : tuple of str
        Names of heads that are kept for validation.
    """

    figures = ("dice", "median_mm", "worst_mm")
    card = HelperCard

    def __init__(self, heads: HeadMaps, hold_out: tuple[str, ...] = ()) -> None:
        known = range(len(heads.names))
        self._own = [heads.read(k) for k in known if heads.names[k] not in hold_out]
        self._held_out = [heads.read(k) for k in known if heads.names[k] in hold_out]

    def network(self) -> nn.Module:
        """One with random weights."""
        return network()

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Dice and cross-entropy of the structures, and how far the places of voxels of the brain are off."""
        torch.manual_seed(seed)
        sample = draw_head(self._own[int(torch.randint(len(self._own), (1,)))])
        logits, places = split(forward(sample.image))
        return _structures_loss(logits, sample.labels) + _PLACE_WEIGHT * _places_off(places, sample) / PLACE_MM

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Mean Dice of what lies inside the skull, and how far the fitted affine is off: median and worst."""
        dice, off_mm = [], []
        for number, head in enumerate(self._held_out):
            for k in range(_CHECKS_A_HEAD):
                torch.manual_seed(number * _CHECKS_A_HEAD + k)
                sample = draw_head(head)
                logits, places = split(forward(sample.image))
                dice.append(_dice(logits.argmax(dim=0).cpu(), sample.labels[0]))
                off_mm.append(affine_off_mm(places.cpu(), sample))
        return np.array([np.mean(dice), np.median(off_mm), np.max(off_mm)]) if dice else np.full(3, np.nan)


def affine_off_mm(places: Tensor, sample: HeadSample) -> float:
    """RMS distance between the affine of regressed places and that of the true ones, over the voxels of the brain."""
    inside = (sample.inside > 0.5).numpy().ravel()
    points = coarse_points()[inside]
    found, true = (
        fitted_affine(points, one.reshape(3, -1).numpy().T[inside].astype(np.float64))[0]
        for one in (places, sample.places)
    )
    off = points @ (found - true)[:3, :3].T + (found - true)[:3, 3]
    return float(np.sqrt((off**2).sum(axis=1).mean()))


def _structures_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy against the parts of each voxel, and 1 - Dice; a voxel has (P, X, Y, Z) labels of equal share."""
    classes = len(logits)
    parts = labels.reshape(len(labels), -1).long()
    logs = logits.log_softmax(dim=0).reshape(classes, -1)
    entropy = -logs.gather(0, parts).mean()
    shares = logs.exp()
    counts = torch.bincount(parts.flatten(), minlength=classes).float() / len(parts)
    hits = torch.zeros(classes).scatter_add(0, parts.flatten(), shares.gather(0, parts).flatten()) / len(parts)
    dice = (2 * hits + _SMOOTHING) / (shares.sum(dim=1) + counts + _SMOOTHING)
    return entropy + 1 - dice[1:].mean()


def _places_off(places: Tensor, sample: HeadSample) -> Tensor:
    off = (places - sample.places).square().sum(dim=0).add(1.0).sqrt()
    return (off * sample.inside).sum() / (sample.inside.sum() + 1)


def _dice(found: Tensor, true: Tensor) -> float:
    scores = []
    for k in range(CAVITY.start, CAVITY.stop):
        both = int((found == k).sum() + (true == k).sum())
        if both:
            scores.append(2 * int(((found == k) & (true == k)).sum()) / both)
    return float(np.mean(scores)) if scores else float("nan")


def _make(path: Path, target: Path) -> str:
    codes, grid = read_head_codes(path)
    tissues = np.zeros(int(codes.max()) + 1, dtype=np.uint8)
    ids = np.zeros(int(codes.max()) + 1, dtype=np.uint8)
    for code, tissue in TISSUE_OF_CODE.items():
        if code < tissues.size:
            tissues[code], ids[code] = tissue, CODES.index(code)
    block = grid.cropped_around(_corners(codes > 0, grid.affine))
    image = TISSUE_INTENSITIES[tissues[codes[block]]]
    small, small_grid = reduced(image, grid.block(block), _SMALL_MM)
    mni_from_native = register_to_template(small, small_grid, seed=1, finest_mm=COARSE_MM).mni_from_native
    index_from_mni = inverse(mni_from_native @ grid.block(block).affine)
    unfinished = target.with_suffix(".tmp")
    with unfinished.open("wb") as stream:
        np.savez_compressed(stream, ids=ids[codes[block]], index_from_mni=index_from_mni)
    unfinished.rename(target)
    return map_name(path)


def _corners(mask: NDArray[np.bool_], affine: Affine) -> NDArray[np.float64]:
    index = np.argwhere(mask)
    return np.stack([index.min(axis=0), index.max(axis=0)]) @ affine[:3, :3].T + affine[:3, 3]
