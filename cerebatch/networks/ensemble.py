"""The ensemble: all cascades of a folder of weights, their probabilities averaged (section 3.5).

What is cerebellum and which side, the first cascade of format 2 says for all, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.labels import LABELS, N_CLASSES, STRUCTURES
from cerebatch.measures.overlap import dice_by_structure
from cerebatch.networks.architectures.blocks import named_device
from cerebatch.networks.cascade import (
    Cascade,
    Channels,
    Precision,
    SideCascade,
    WholeCascade,
    mirrored_channels,
)
from cerebatch.networks.folder import read_cards
from cerebatch.networks.inputs import brain_region, image_channel
from cerebatch.networks.weights import read_network
from cerebatch.spatial.space import LabelMap, Volume


@dataclass(frozen=True)
class Segmentation:
    """What an ensemble says of a scan.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        Cerebatch codes.
    probabilities : (27, X, Y, Z) float32
    by_architecture : dict
        Name of each architecture -> what it says alone, (X, Y, Z) uint8.
    """

    dseg: LabelMap
    probabilities: Volume
    by_architecture: dict[str, LabelMap]

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Dice of the architectures with each other, mean over pairs, (26,); NaN where there is one alone."""
        return _agreement(list(self.by_architecture.values()))

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Mean probability of each structure inside it, (26,); NaN where it was not found."""
        return np.array(
            [
                float(self.probabilities[label.index][inside].mean()) if (inside := self.dseg == label.index).any()
                else np.nan
                for label in LABELS
            ]
        )  # fmt: skip


@dataclass(frozen=True)
class Ensemble:
    """Networks in memory.

    Attributes
    ----------
    cascades : tuple of Cascade
    resolution : float
        Edge of the voxels that they were trained on, mm.
    """

    cascades: tuple[Cascade, ...]
    resolution: float

    def segment(
        self,
        t1w: Volume | None,
        t2w: Volume | None = None,
        atlas: LabelMap | None = None,
        *,
        precision: Precision = "float32",
        mirror: bool = True,
    ) -> Segmentation:
        """Label a prepared scan.

        Parameters
        ----------
        t1w, t2w : (X, Y, Z) float32 or None
            Prepared images on the cerebellum box; at least one.
        atlas : (X, Y, Z) uint8, optional
            Subject-specific atlas, cerebatch codes.
        precision : {"float32", "bfloat16"}
        mirror : bool
            Average with what is said of the mirrored scan; twice the time, and no side is preferred.

        Raises
        ------
        StageError
            No cerebellum was found.
        """
        region = brain_region(self.resolution)
        channels = Channels(image_channel(t1w, region), image_channel(t2w, region), atlas)
        decides = [cascade for cascade in self.cascades if isinstance(cascade, SideCascade)]
        common = _side_shares(decides[0], channels, precision, mirror) if decides else None
        alone: dict[str, LabelMap] = {}
        total: Volume | None = None
        for cascade in self.cascades:
            side = _side_shares(cascade, channels, precision, mirror) if common is None else common
            own = _labelled(side, _structure_shares(cascade, channels, side, precision, mirror))
            alone[cascade.architecture] = _labels(own)
            total = own if total is None else np.add(total, own, out=total)
        assert total is not None
        total /= len(self.cascades)
        return Segmentation(_labels(total), total, alone)


@lru_cache(maxsize=1)
def load(folder: Path, device: str = "auto") -> Ensemble:
    """The ensemble of a folder, read once in a process.

    Parameters
    ----------
    folder : Path
    device : str
        "auto": a GPU where there is one.

    Raises
    ------
    WeightsError
        The weights cannot be used.
    """
    where = named_device(device)
    cards = read_cards(folder)
    networks = [read_network(folder / f"{card.stem}.safetensors").to(where) for card in cards]
    cascades = tuple(
        (SideCascade if card.format > 1 else WholeCascade)(
            card.architecture, networks[place], networks[place + 1], card.resolution_mm
        )
        for place, card in enumerate(cards)
        if card.task == "sides"
    )
    return Ensemble(cascades, cards[0].resolution_mm)


def _side_shares(cascade: Cascade, channels: Channels, precision: Precision, mirror: bool) -> Volume:
    own = cascade.side_shares(channels, precision)
    if mirror:
        other = cascade.side_shares(mirrored_channels(channels), precision)
        own += other[[0, 2, 1], ::-1]
        own /= 2
    return own


def _structure_shares(cascade: Cascade, channels: Channels, side: Volume, precision: Precision, mirror: bool) -> Volume:
    own = cascade.structure_shares(channels, side, precision)
    if mirror and not isinstance(cascade, SideCascade):  # which turns the right side anyway
        turned_side = np.ascontiguousarray(side[[0, 2, 1], ::-1])
        other = cascade.structure_shares(mirrored_channels(channels), turned_side, precision)
        half = len(STRUCTURES)
        # In place, a class at a time, because at 0.5 mm each of them takes 1.1 GB.
        for code, exchanged in enumerate([*range(half, 2 * half), *range(half)]):
            own[code] += other[exchanged, ::-1]
        own /= 2
    return own


def _labelled(side: Volume, structures: Volume) -> Volume:
    """Probability of background and every label, (27, X, Y, Z)."""
    half = len(STRUCTURES)
    found = np.empty((N_CLASSES, *side.shape[1:]), dtype=np.float32)
    np.multiply(structures[:half], side[1], out=found[1 : half + 1])
    np.multiply(structures[half:], side[2], out=found[half + 1 :])
    together = found[1:].sum(axis=0)
    # Near the midline a voxel may have a share of a side whose structures were not looked for there.
    found[1:] *= np.divide(1 - side[0], together, out=np.zeros_like(together), where=together > 0)
    found[0] = np.where(together > 0, side[0], 1)
    return found


def _labels(probabilities: Volume) -> LabelMap:
    """The most probable label where all labels together are more probable than background."""
    labels = 1 + probabilities[1:].argmax(axis=0)
    return np.where(probabilities[0] < 0.5, labels, 0).astype(np.uint8)


def _agreement(maps: Sequence[LabelMap]) -> NDArray[np.float64]:
    pairs = [(one, other) for place, one in enumerate(maps) for other in maps[place + 1 :]]
    if not pairs:
        return np.full(len(LABELS), np.nan)
    return np.asarray(np.mean([dice_by_structure(one, other) for one, other in pairs], axis=0))
