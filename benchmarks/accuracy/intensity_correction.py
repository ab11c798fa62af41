"""Labels damaged as section 2.1 describes, and corrected by intensity: Dice of grey and white matter before and after.

    python -m benchmarks.accuracy.intensity_correction LIB.zarr --cases 8

The cases are a library's, whose tissues are known. The damage: fluid in fissures up to 2 mm wide is given to the
nearest lobule, and every twig of the arbor vitae to its lobule. The images have noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from cerebatch.intensity.tissue import Contrast
from cerebatch.labelling.correct import corrected
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.store import Library, open_library
from cerebatch.measures.morphology import closed
from cerebatch.measures.overlap import dice, mean_dice
from cerebatch.simulation.scenes.scene import nearest
from cerebatch.spatial.space import LabelMap

FISSURE_MM = 1.0
NOISE = 10.0
CONTRASTS: tuple[Contrast, ...] = ("T1w", "T2w")


def main() -> None:
    """Damage, correct, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--cases", type=int, default=8)
    options = parser.parse_args()
    library = open_library(options.library)
    own = [k for k in range(len(library.names)) if not library.mirrored[k]]
    chosen = own[:: max(1, len(own) // options.cases)][: options.cases]
    table = pd.DataFrame([row for index in chosen for row in scores(library, index)])
    print(f"{len(chosen)} cases at {library.resolution:g} mm, noise {NOISE:g}")
    print(
        table.groupby("labels", sort=False)[["grey", "white", "structures"]].agg(["mean", "min"]).round(3).to_string()
    )


def scores(library: Library, index: int) -> list[dict[str, object]]:
    """Dice of grey matter, of white matter, and mean over structures: damaged, corrected by T1w, by both."""
    truth, lobules = library.dseg(index), library.lobules(index)
    given = damaged(lobules, library)
    generator = np.random.default_rng(index)
    images = {
        name: library.image(index, name) + generator.normal(0, NOISE, truth.shape).astype(np.float32)
        for name in CONTRASTS
    }
    found = {"damaged": given}
    for names in (CONTRASTS[:1], CONTRASTS):
        seen = {name: images[name] for name in names}
        found[f"corrected by {' and '.join(names)}"] = corrected(given, given, seen, library.grid).dseg
    return [
        {
            "labels": name,
            "grey": dice((dseg > 0) & ~np.isin(dseg, WHITE_MATTER), (truth > 0) & ~np.isin(truth, WHITE_MATTER)),
            "white": dice(np.isin(dseg, WHITE_MATTER), np.isin(truth, WHITE_MATTER)),
            "structures": mean_dice(dseg, truth),
        }
        for name, dseg in found.items()
    ]


def damaged(lobules: LabelMap, library: Library) -> LabelMap:
    """Narrow fissures filled with the nearest lobule; the arbor vitae lies in its lobules already."""
    filled = closed(lobules > 0, library.grid, FISSURE_MM)
    grey = (lobules > 0) & ~np.isin(lobules, WHITE_MATTER)
    return np.where(filled & (lobules == 0), lobules[tuple(nearest(grey, library.grid))], lobules).astype(np.uint8)


if __name__ == "__main__":
    main()
