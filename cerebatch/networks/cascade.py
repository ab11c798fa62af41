"""Two networks in a row: sides, then lobules (section 2.2, figure 2)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from cerebatch.errors import StageError
from cerebatch.labels import N_CLASSES, STRUCTURES
from cerebatch.networks.architectures.blocks import device_of
from cerebatch.networks.inputs import crop_around, lobules_input, sides_input
from cerebatch.spatial.space import LabelMap, Volume

Precision = Literal["float32", "bfloat16"]

_HALF = 0.5


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
class Cascade:
    """A pair of networks of one architecture.

    Attributes
    ----------
    architecture : str
    sides, lobules : Module
        In evaluation mode, on one device.
    """

    architecture: str
    sides: nn.Module
    lobules: nn.Module

    def probabilities(self, channels: Channels, precision: Precision = "float32") -> Volume:
        """Probability of each of the 27 labels.

        The probability of a label is that of its side by the first network times that of its structure by the
        second; what is left is background.

        Parameters
        ----------
        channels : Channels
        precision : {"float32", "bfloat16"}

        Returns
        -------
        probabilities : (27, X, Y, Z) float32

        Raises
        ------
        StageError
            The first network found no cerebellum.
        """
        side = self._shares(self.sides, sides_input(channels.t1w, channels.t2w, channels.atlas), precision)
        cerebellum = side[0] < _HALF
        if not cerebellum.any():
            raise StageError(
                f"the {self.architecture} found no cerebellum. Look at the picture of the registration; "
                "if it is right, segment the scan with --method atlas."
            )
        block = crop_around(cerebellum)
        seen = lobules_input(channels.t1w, channels.t2w, channels.atlas, cerebellum)[:, *block]
        structure = self._shares(self.lobules, np.ascontiguousarray(seen), precision)
        found = np.zeros((N_CLASSES, *cerebellum.shape), dtype=np.float32)
        half = len(STRUCTURES)
        found[1 : half + 1, *block] = side[1][block] * structure[1:]
        found[half + 1 :, *block] = side[2][block] * structure[1:]
        found[0] = 1 - found[1:].sum(axis=0)
        return found

    def _shares(self, network: nn.Module, image: Volume, precision: Precision) -> Volume:
        device = device_of(network)
        order = memory_order(precision)
        network.to(memory_format=order)  # type: ignore[call-overload]
        seen = torch.from_numpy(image)[None].to(device, memory_format=order)
        with torch.inference_mode(), precise(precision, device):
            logits: Tensor = network(seen)
        shares: Volume = logits[0].float().softmax(dim=0).cpu().numpy()
        return shares


def memory_order(precision: Precision) -> torch.memory_format:
    """Channels last are faster, but torch's sums over them are too coarse for float32."""
    return torch.contiguous_format if precision == "float32" else torch.channels_last_3d


def precise(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which networks compute with this precision."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)
