"""What the commands share: exit statuses, options with a few values, and how a line is printed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from cerebatch.networks.card import Helper

SOME_FAILED, COULD_NOT_RUN, ELSEWHERE = 1, 2, 3


class Resolution(StrEnum):
    """Edge of the MNI grid, millimetres."""

    one = "1.0"
    half = "0.5"
    trial = "4.0"


class Registrar(StrEnum):
    """What registers library cases."""

    greedy = "greedy"
    composed = "composed"
    network = "network"


def say(console: Console, line: str) -> None:
    """Print a line as it is: no wrapping in the middle of a path, no markup in a file's name."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def helper_weights_if(name: Helper, asked: bool, folder: Path | None, resolution: float | None = None) -> Path | None:
    """Weights of a helper network that was asked for, checked before any case needs them."""
    if not asked:
        return None
    from cerebatch.networks.auxiliary.loading import helper_card, helper_weights

    path = helper_weights(name, folder, resolution).resolve()
    helper_card(path, name, resolution)
    return path
