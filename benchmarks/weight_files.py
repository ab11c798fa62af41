"""Weights lie beside their card."""

from __future__ import annotations

import shutil
from pathlib import Path


def copy_weights(weights: Path, folder: Path) -> None:
    """Copy weights and their card; the folder is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (weights, weights.with_suffix(".json")):
        shutil.copyfile(path, folder / path.name)
