"""Fits beside an unfinished library. Many may write into its folder, so what lies there is read as numbers alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from cerebatch.building.fit import Fit
from cerebatch.io.atomic import written_whole
from cerebatch.spatial.space import Grid


def write_fit(path: Path, fit: Fit) -> None:
    """Write a fit, ``.npz``, so that a reader sees all of it or nothing."""
    with written_whole(path) as unfinished, unfinished.open("wb") as stream:
        np.savez(
            stream, map_from_mni=fit.map_from_mni, field=fit.field, shape=fit.grid.shape, affine=fit.grid.affine,
            overlap=fit.overlap,
        )  # fmt: skip


def read_fit(path: Path) -> Fit | None:
    """The fit at `path`; None where there is none that can be read. It is then made anew."""
    try:
        with np.load(path, allow_pickle=False) as found:
            x, y, z = (int(edge) for edge in found["shape"])
            return Fit(
                map_from_mni=found["map_from_mni"],
                field=found["field"],
                grid=Grid((x, y, z), found["affine"]),
                overlap=float(found["overlap"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
