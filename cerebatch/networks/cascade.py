"""Two networks in a row: sides, then lobules (section 2.2, figure 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from cerebatch.errors import StageError
from cerebatch.labels import N_CLASSES, STRUCTURES, mirrored
from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.inputs import crop_around, lobules_input, sides_input
from cerebatch.networks.one_side import seen_mask, side_input, whole_input
from cerebatch.spatial.space import LabelMap, Volume

Precision = Literal["float32", "bfloat16"]

_HALF = 0.5
_LEAST = 1e-6
"""Added to each structure, so that something is said where all but background seems impossible."""


@dataclass(frozen=True)
class Channels:
    """One scan as the networks see it.

    Attributes
    ----------
    t1w, t2w : (X, Y, Z) float32
        Of `inputs.image_channel`; one that is absent is zero.
    atlas : (X, Y, Z) uint8 or None
        Cerebatch codes.
    """

    t1w: Volume
    t2w: Volume
    atlas: LabelMap | None


@dataclass(frozen=True)
class Cascade(ABC):
    """A pair of networks of one architecture.

    The probability of a label is that of its side by the first network, times that of its structure by the second one
    on condition that the voxel is cerebellum: the first network alone decides what is background.

    Attributes
    ----------
    architecture : str
    sides, lobules : Module
        In evaluation mode, on one device.
    resolution : float
        Edge of a voxel in millimetres.
    """

    architecture: str
    sides: nn.Module
    lobules: nn.Module
    resolution: float = 1.0

    def side_shares(self, channels: Channels, precision: Precision = "float32") -> Volume:
        """Probability of background, left and right, (3, X, Y, Z) float32."""
        return self._shares(self.sides, self._whole(channels), precision)

    def structure_shares(self, channels: Channels, side: Volume, precision: Precision = "float32") -> Volume:
        """Probability of each label where there is cerebellum.

        Parameters
        ----------
        channels : Channels
        side : (3, X, Y, Z) float32
            Of `side_shares`, of this cascade or another one.
        precision : {"float32", "bfloat16"}

        Returns
        -------
        shares : (26, X, Y, Z) float32
            Of each side by itself: its 13 structures sum to 1 where they were looked for, and to 0 elsewhere.

        Raises
        ------
        StageError
            There is no cerebellum.
        """
        if not (side[0] < _HALF).any():
            raise StageError(
                f"the {self.architecture} found no cerebellum. Look at the picture of the registration; "
                "if it is right, segment the scan with --method atlas."
            )
        found = np.zeros((N_CLASSES - 1, *side.shape[1:]), dtype=np.float32)
        self._fill(found, channels, side, precision)
        return found

    @abstractmethod
    def _whole(self, channels: Channels) -> Volume:
        """What the first network sees."""

    @abstractmethod
    def _fill(self, found: Volume, channels: Channels, side: Volume, precision: Precision) -> None:
        """Write what the second network says into `found`."""

    def _shares(self, network: nn.Module, image: Volume, precision: Precision) -> Volume:
        device = device_of(network)
        order = memory_order(precision)
        network.to(memory_format=order)  # type: ignore[call-overload]
        seen = torch.from_numpy(np.ascontiguousarray(image))[None].to(device, memory_format=order)
        with torch.inference_mode(), precise(precision, device):
            logits: Tensor = network(seen)
        shares: Volume = logits[0].float().softmax(dim=0).cpu().numpy()
        return shares


class WholeCascade(Cascade):
    """The second network sees both sides at once, masked voxels as zero, the atlas as one channel (format 1)."""

    def _whole(self, channels: Channels) -> Volume:
        return sides_input(channels.t1w, channels.t2w, channels.atlas)

    def _fill(self, found: Volume, channels: Channels, side: Volume, precision: Precision) -> None:
        # As in their training: a closed and wider mask takes names away from networks that never saw one.
        cerebellum = side[0] < _HALF
        block = crop_around(cerebellum)
        seen = lobules_input(channels.t1w, channels.t2w, channels.atlas, cerebellum)[:, *block]
        own = _without_background(self._shares(self.lobules, seen, precision))
        found[:, *block] = np.concatenate([own, own])


class SideCascade(Cascade):
    """The second network sees one side at a time, turned as a left one, the atlas as one channel a class (format 2)."""

    def _whole(self, channels: Channels) -> Volume:
        return whole_input(channels.t1w, channels.t2w, channels.atlas)

    def _fill(self, found: Volume, channels: Channels, side: Volume, precision: Precision) -> None:
        half = len(STRUCTURES)
        left = side[1] >= side[2]
        cerebellum = side[0] < _HALF
        for first, own, seen in ((0, left, channels), (half, ~left, mirrored_channels(channels))):
            mask = cerebellum & own
            if not mask.any():
                continue
            turn = slice(None, None, -1 if first else 1)
            image, block = side_input(seen.t1w, seen.t2w, seen.atlas, seen_mask(mask[turn], self.resolution))
            answer = _without_background(self._shares(self.lobules, image, precision))
            found[first : first + half][:, turn][:, *block] = answer


def mirrored_channels(channels: Channels) -> Channels:
    """The scan with left and right exchanged."""
    atlas = None if channels.atlas is None else mirrored(np.ascontiguousarray(channels.atlas[::-1]))
    return Channels(channels.t1w[::-1].copy(), channels.t2w[::-1].copy(), atlas)


def _without_background(shares: Volume) -> Volume:
    """Structures on condition that they are not background; (K, ...) -> (K - 1, ...)."""
    structures = shares[1:] + np.float32(_LEAST)
    return np.asarray(structures / structures.sum(axis=0))


def memory_order(precision: Precision) -> torch.memory_format:
    """Channels last are faster, but torch's sums over them are too coarse for float32."""
    return torch.contiguous_format if precision == "float32" else torch.channels_last_3d


def precise(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which networks compute with this precision."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)
