"""Folders of weights: those that cerebatch brings, and what is in one. Reads cards, never weights."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import get_args

from cerebatch.errors import SettingsError, WeightsError
from cerebatch.networks.card import Architecture, Card, read_card


def shipped_folder() -> Path:
    """Where the weights lie that cerebatch brings."""
    return Path(str(resources.files("cerebatch.networks"))) / "weights"


def shipped_weights(resolution: float) -> Path:
    """Folder of the weights that cerebatch brings for a resolution.

    Raises
    ------
    SettingsError
        It brings none for this one.
    """
    folder = shipped_folder() / f"{resolution:g}mm"
    if not any(folder.glob("*.safetensors")):
        raise SettingsError(
            f"cerebatch brings no weights for {resolution:g} mm. Run with --weights FOLDER of networks that you "
            "trained, with --method atlas --library LIB, or with --labelled-case CASE."
        )
    return folder


def read_cards(folder: Path) -> tuple[Card, ...]:
    """Cards of the cascades in a folder: sides and lobules of each architecture.

    Raises
    ------
    WeightsError
        No whole cascade is there, or they are of different resolutions.
    """
    cards: list[Card] = []
    for architecture in get_args(Architecture):
        paths = [folder / f"{architecture}-{task}.safetensors" for task in ("sides", "lobules")]
        if all(path.exists() for path in paths):
            cards += [read_card(path, Card) for path in paths]
    sizes = sorted({card.resolution_mm for card in cards})
    if len(sizes) != 1:
        there = ", ".join(sorted(path.name for path in folder.glob("*.safetensors"))) or "no weights"
        raise WeightsError(
            folder,
            expected="ARCHITECTURE-sides.safetensors and ARCHITECTURE-lobules.safetensors of one resolution",
            found=f"{sizes} mm" if sizes else there,
            do="Give a folder with the weights of a cascade, or leave --weights out.",
        )
    return tuple(cards)


def digest(folder: Path) -> str:
    """Changes with any of the weights in a folder; reads their cards alone, and again only where a file changed."""
    return _digest(folder, tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.glob("*.safetensors"))))


@lru_cache(maxsize=16)
def _digest(folder: Path, files: tuple[tuple[str, int], ...]) -> str:
    del files  # asked anew where one has another time
    return hashlib.sha256("".join(card.sha256 for card in read_cards(folder)).encode()).hexdigest()
