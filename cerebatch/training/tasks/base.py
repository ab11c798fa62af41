"""What a network is taught: where its samples come from, what is wrong with its answers, and how they are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.networks.card import BaseCard

Forward = Callable[[Tensor], Tensor]
"""A network in the precision and on the device of its training; the answer lies there."""


class Lesson(Protocol):
    """What the loop needs to know of a task."""

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what `check` finds."""

    @property
    def card(self) -> type[BaseCard]:
        """Kind of card that the network's weights have."""

    def network(self) -> nn.Module:
        """One with random weights."""

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Loss of a random sample, the same for the same seed; () float32 tensor."""

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Figures (K,) of the network on validation cases."""
