"""Intracranial volume by the network and by the affine, on heads that neither has seen, and on real whole heads.

    python -m benchmarks.accuracy.icv DATA TRAINED --out TABLE.tsv

TRAINED is the output of `train_helpers.py`: four networks, each trained without four of the 16 heads. Test images are
rendered from the head maps by `synthetic_heads.py`, which has nothing in common with the training's images. The line
of the affine is fitted to the twelve heads of each fold, too. Of the real heads nobody knows the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.synthetic_heads import synthetic_head
from benchmarks.common.tables import write_table
from cerebatch.io.labelmaps import map_name
from cerebatch.io.scan import read_scan
from cerebatch.measures.icv import icv_cm3
from cerebatch.networks.auxiliary.intracranial import measured_icv_cm3
from cerebatch.networks.auxiliary.loading import load_helper
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.registration import register_to_template

FOLDS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("trained", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ants_bridge.use_one_thread()
    table = pd.DataFrame(
        [
            one_head(path, seed, options.trained / f"icv/fold-{seed % FOLDS + 1}/icv.safetensors")
            for seed, path in enumerate(sorted((options.data / "heads").glob("*_dseg.nii.gz")))
        ]
    )
    table["affine"] = by_line(table)
    for way in ("network", "affine"):
        table[f"{way} error %"] = 100 * (table[way] / table["icv_cm3"] - 1)
    print(table.round(2).to_string(index=False))
    for way in ("network", "affine"):
        errors = table[f"{way} error %"]
        print(f"{way}: error {errors.mean():+.2f}%, SD {errors.std():.2f}%, largest {errors.abs().max():.1f}%")
    write_table(table, options.out)
    network = load_helper(options.trained / "shipped/icv.safetensors", "icv")
    for path in sorted((options.data / "scans").glob("sub-whole*/anat/*_T1w.nii.gz")):
        scan = read_scan(path)
        affine = register_to_template(scan.image, scan.grid, seed=1).mni_from_native
        seen = measured_icv_cm3(network, scan.image, scan.grid, affine)
        print(f"{path.name.split('_')[0]}: network {seen:.0f} cm3, affine {icv_cm3(affine):.0f} cm3")


def one_head(path: Path, seed: int, weights: Path) -> dict[str, object]:
    """Truth, what the network says, and the scale of the affine."""
    head = synthetic_head(path, seed)
    affine = register_to_template(head.whole, head.grid, seed=1).mni_from_native
    return {
        "head": map_name(path),
        "fold": seed % FOLDS,
        "icv_cm3": head.icv_cm3,
        "network": measured_icv_cm3(load_helper(weights, "icv"), head.whole, head.grid, affine),
        "scale": 1 / float(np.linalg.det(affine[:3, :3])),
    }


def by_line(table: pd.DataFrame) -> pd.Series:
    """Volume from the scale of the affine, by the line of the other folds."""
    found = pd.Series(index=table.index, dtype=float)
    for fold in range(FOLDS):
        own = table["fold"] == fold
        line = np.polyfit(table.loc[~own, "scale"], table.loc[~own, "icv_cm3"], 1)
        found[own] = np.polyval(line, table.loc[own, "scale"])
    return found


if __name__ == "__main__":
    main()
