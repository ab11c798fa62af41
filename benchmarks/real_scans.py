"""The atlas on prepared real scans: volumes beside the maps', pieces, agreement with SUIT, pictures.

    python benchmarks/real_scans.py RUN_DIR LIB.zarr --suit ATLAS_DIR --out TABLE.tsv

RUN_DIR is the output of `cerebatch run`. With --freesurfer SUBJECT=DSEG.nii.gz the cerebellum of
that scan (codes 7, 8, 46, 47) is compared, closed by 2 mm and raw.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from cerebatch.evaluation.overlap import dice, hausdorff95_mm, largest_piece_share
from cerebatch.labelmaps import read_codes, read_dseg
from cerebatch.labels import LABELS
from cerebatch.library.place import agreement, suit_on_box
from cerebatch.library.store import open_library
from cerebatch.library.suit import merge_cobralab
from cerebatch.morphology import closed
from cerebatch.space import cerebellum_box

CEREBELLUM = (7, 8, 46, 47)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("--suit", type=Path, required=True)
    parser.add_argument("--freesurfer", action="append", default=[], metavar="SUBJECT=DSEG")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    low, high = volume_range(options.library)
    suit = suit_on_box(
        options.suit / "suit_space-MNI152NLin6Asym_dseg.nii.gz",
        options.suit / "cerebellum_space-MNI152NLin6Asym_T1w.nii.gz",
    )
    box = cerebellum_box(1.0)
    rows = []
    for path in sorted(options.run.glob("sub-*/**/anat/*_space-*_seg-lobules_res-1_dseg.nii.gz")):
        dseg, grid = read_dseg(path)
        name = path.name.split("_")[0]
        row: dict[str, object] = {"scan": name}
        for label in LABELS:
            mask = dseg == label.index
            volume = float(mask.sum() * grid.voxel_volume_mm3 / 1000)
            row[label.name] = volume
            where = f"{name} {label.name} ({volume:.2f} cm3 in MNI)"
            if not 0.3 * low[label.index] <= volume <= 3 * high[label.index]:
                print(f"size: {where}, the maps have {low[label.index]:.2f} to {high[label.index]:.2f}")
            if volume and (piece := largest_piece_share(mask)) < 0.9:
                print(f"pieces: {where}, largest piece {piece:.2f}")
        with_folia, _ = read_dseg(path.with_name(path.name.replace("_res-1_", "_res-1_desc-withfolia_")))
        found = agreement(merge_cobralab(with_folia), suit, box)
        row["SUIT"] = float(np.mean([value for key, value in found.items() if key != "cerebellum"]))
        row["SUIT_cerebellum"] = found["cerebellum"]
        rows.append(row)
    table = pd.DataFrame(rows)
    print(table[["scan", "SUIT", "SUIT_cerebellum"]].round(3).to_string(index=False))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(options.out, sep="\t", index=False, float_format="%.4f")
    for pair in options.freesurfer:
        name, path = pair.split("=", 1)
        (ours,) = options.run.glob(f"sub-{name}/**/anat/sub-{name}*_seg-lobules_dseg.nii.gz")
        if "space-" not in ours.name:
            compare(name, ours, Path(path))


def volume_range(path: Path) -> tuple[dict[int, float], dict[int, float]]:
    """Smallest and largest volume of each structure among the cases of a library, cm3 in MNI."""
    library = open_library(path)
    edge = float(library.grid.voxel_volume_mm3)
    counts = np.stack([np.bincount(library.dseg(k).ravel(), minlength=27) for k in range(len(library.names))])
    low, high = counts.min(axis=0) * edge / 1000, counts.max(axis=0) * edge / 1000
    return dict(enumerate(low)), dict(enumerate(high))


def compare(name: str, ours: Path, theirs: Path) -> None:
    """Whole cerebellum against FreeSurfer's, on the scan's own grid."""
    dseg, grid = read_dseg(ours)
    codes, other_grid = read_codes(theirs)
    if codes.shape != dseg.shape or not np.allclose(grid.affine, other_grid.affine, atol=1e-3):
        raise SystemExit(f"{theirs}: not on the grid of {ours}")
    one, other = dseg > 0, np.isin(codes, CEREBELLUM)
    print(f"{name} raw: Dice {dice(one, other):.3f}, ratio of volumes {one.sum() / other.sum():.3f}")
    one, other = closed(one, grid), closed(other, grid)
    print(
        f"{name} closed by 2 mm: Dice {dice(one, other):.3f}, ratio {one.sum() / other.sum():.3f}, "
        f"95% Hausdorff distance {hausdorff95_mm(one, other, grid):.2f} mm"
    )


if __name__ == "__main__":
    main()
