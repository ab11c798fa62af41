"""The open peer beside ours: ANTsXNet's `cerebellum_morphology` (Tustison et al. 2024) on your own scans.

    python -m benchmarks.accuracy.antsxnet RUN_DIR BIDS_DIR --out TABLE.tsv

RUN_DIR is the output of `cerebatch run`. Needs `pip install antspynet`, which fetches its weights from the internet;
where this script was written there was none, and it was never run there: check its first output by eye.
Its networks learnt from the same people's maps, with their real T1w images. It gives lobules without white matter; the
Dice here is that of the 12 lobules a side, on the scan's grid, our white matter left out on both sides of the border.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from benchmarks.common.tables import write_table
from cerebatch.labels import LABELS, STRUCTURES, WHITE_MATTER
from cerebatch.measures.overlap import dice

_RIGHT = 100
"""What its codes of the right have more than those of the left, 1 to 12 in our order."""


def main() -> None:
    """Run it on every scan of a run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("bids", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    import ants
    import antspynet

    rows = []
    for ours in sorted(options.run.glob("sub-*/**/anat/*_seg-lobules_dseg.nii.gz")):
        if "_space-" in ours.name:
            continue
        case = ours.name.removesuffix("_seg-lobules_dseg.nii.gz")
        scan = next(options.bids.glob(f"sub-*/**/anat/{case}_T1w.nii*"))
        found = antspynet.cerebellum_morphology(ants.image_read(str(scan)), compute_thickness_image=False)
        theirs = found["parcellation_segmentation_image"].numpy().astype(int)
        image = nib.load(ours)
        dseg, voxel_cm3 = np.asarray(image.dataobj), float(np.prod(image.header.get_zooms()[:3])) / 1000
        if theirs.shape != dseg.shape:
            print(f"{case}: left out: its map has the shape {theirs.shape}, the scan {dseg.shape}")
            continue
        for label in LABELS:
            if label.index in WHITE_MATTER:
                continue
            code = STRUCTURES.index(label.structure) + 1 + (_RIGHT if label.side == "right" else 0)
            one, other = dseg == label.index, theirs == code
            rows.append(
                {"case": case, "structure": label.name, "dice": dice(one, other),
                 "cerebatch_cm3": one.sum() * voxel_cm3, "antsxnet_cm3": other.sum() * voxel_cm3}
            )  # fmt: skip
        print(f"{case}: mean Dice {np.nanmean([row['dice'] for row in rows if row['case'] == case]):.3f}", flush=True)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(table.groupby("structure", sort=False).mean(numeric_only=True).round(3).to_string())


if __name__ == "__main__":
    main()
