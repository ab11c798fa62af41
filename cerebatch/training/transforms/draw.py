"""Drawing from what torch's global generator gives."""

from __future__ import annotations

from typing import TypeVar

import torch

_Name = TypeVar("_Name")


def choice(shares: dict[_Name, float]) -> _Name:
    """One of the keys, as often as its share."""
    drawn = int(torch.multinomial(torch.tensor(list(shares.values())), 1))
    return list(shares)[drawn]
