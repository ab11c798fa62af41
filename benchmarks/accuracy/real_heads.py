"""Where a network sees the heads of real scans, beside the affines that the search found.

    python -m benchmarks.accuracy.real_heads PREPARED SCAN ... --weights head.safetensors [--refine] [--out TABLE.tsv]

PREPARED holds a folder for each scan, named as its file begins, with the `prepared.json` that `prepare` wrote without
the network. Each scan is shown as it is, stored the other way round, turned, cut above and below the brain, at 2 mm,
and with its header upside down. Distances are RMS over the cerebellum, in MNI millimetres.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from benchmarks.common.tables import write_table
from cerebatch.errors import CerebatchError
from cerebatch.io.scan import read_scan
from cerebatch.networks.auxiliary.head import find_head
from cerebatch.networks.auxiliary.loading import load_helper
from cerebatch.simulation.phantom import template_case
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Affine, Grid, Volume, apply, inverse
from cerebatch.stages.prepare import Prepared

_TURN_DEGREES = (25.0, -20.0, 25.0)
_TOP_MM, _CHIN_MM = 60.0, -72.0


def variants(image: Volume, grid: Grid, known: Affine) -> Iterator[tuple[str, Volume, Grid, Affine]]:
    """Name, scan, and the affine native -> MNI that belongs to it; as it is comes first."""
    yield "as it is", image, grid, known
    flip = np.eye(4)
    flip[0, 0], flip[0, 3] = -1.0, image.shape[0] - 1.0
    yield "stored the other way round", np.ascontiguousarray(image[::-1]), Grid(grid.shape, grid.affine @ flip), known
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", _TURN_DEGREES, degrees=True).as_matrix()
    yield "turned", image, Grid(grid.shape, turn @ grid.affine), known @ inverse(turn)
    heights = apply(
        known @ grid.affine, np.argwhere(np.ones((1, 1, image.shape[2]))) + np.array(image.shape) * [0.5, 0.5, 0]
    )
    seen = np.flatnonzero((heights[:, 2] < _TOP_MM) & (heights[:, 2] > _CHIN_MM))
    block = (*(slice(0, n) for n in image.shape[:2]), slice(int(seen[0]), int(seen[-1]) + 1))
    yield "cut", np.ascontiguousarray(image[block]), grid.block(block), known
    yield ("2 mm", *reduced(image, grid, 2.0), known)
    over = np.diag([1.0, -1.0, -1.0, 1.0])
    yield "upside down by its header", image, Grid(grid.shape, over @ grid.affine), known @ over


def main() -> None:
    """Print a row for each scan and variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--refine", action="store_true", help="run the last passes of the registration as well")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ants_bridge.use_one_thread()
    head = load_helper(arguments.weights, "head")
    case, box = template_case(4.0)
    cerebellum_mm = apply(box.affine, np.argwhere(case > 0).astype(float))
    rows = []
    for path in arguments.scans:
        name = re.sub(r"_(T1w|acq).*", "", path.name)
        scan = read_scan(path)
        known = Prepared.read(arguments.prepared / name).affine
        for what, image, grid, true in variants(scan.image, scan.grid, known):
            points = apply(inverse(true), cerebellum_mm)
            seen = find_head(head, image, grid)
            off = apply(seen.mni_from_native, points) - cerebellum_mm
            row = {"scan": name, "variant": what, "closed form mm": float(np.sqrt((off**2).sum(axis=1).mean())),
                   "fit mm": seen.error_mm, "cavity cm3": seen.cavity_cm3, "turned": seen.turned_degrees,
                   "fault": seen.fault()[:60]}  # fmt: skip
            if arguments.refine:
                try:
                    found = register_to_template(image, grid, seed=1, seen=seen)
                    off = apply(found.mni_from_native, points) - cerebellum_mm
                    row["refined mm"] = float(np.sqrt((off**2).sum(axis=1).mean()))
                    row["local correlation"] = found.local_correlation
                except CerebatchError as error:
                    row["fault"] = str(error)[:120]
            rows.append(row)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = pd.DataFrame(rows)
    write_table(table, arguments.out)
    print(table.groupby("variant")["closed form mm"].describe().round(2))


if __name__ == "__main__":
    main()
