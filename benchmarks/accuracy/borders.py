"""How much of the borders between lobules can be seen: in the maps themselves and in libraries made from them.

python -m benchmarks.accuracy.borders LOBULES_DIR LIB.zarr [LIB.zarr ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cerebatch import labels
from cerebatch.building.build import label_maps
from cerebatch.io.labelmaps import read_codes
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.store import open_library
from cerebatch.measures.borders import visible_share


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lobules", type=Path)
    parser.add_argument("libraries", type=Path, nargs="*")
    options = parser.parse_args()
    for path in label_maps(options.lobules):
        codes, grid = read_codes(path)
        dseg, _ = labels.from_cobralab(codes)
        share = visible_share(dseg, np.isin(dseg, WHITE_MATTER), grid)
        print(f"{path.name} at {grid.voxel_sizes_mm[0]:.1f} mm: {share:.3f}")
    for path in options.libraries:
        library = open_library(path)
        shares = library.dataset()["visible_share"].values
        print(
            f"{path.name} at {library.resolution} mm, {len(shares)} cases: mean {shares.mean():.3f}, "
            f"{shares.min():.3f} to {shares.max():.3f}"
        )


if __name__ == "__main__":
    main()
