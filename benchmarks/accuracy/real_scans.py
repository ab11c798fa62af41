"""Labels of real scans, by atlas or networks: sizes, pieces, SUIT, fissures, volumes of people measured elsewhere.

    python -m benchmarks.accuracy.real_scans RUN_DIR LIB.zarr --suit ATLAS_DIR --out TABLE.tsv

RUN_DIR is the output of `cerebatch run` at 1 mm. With --freesurfer SUBJECT=DSEG.nii.gz the cerebellum of
that scan (codes 7, 8, 46, 47) is compared, closed by 2 mm and raw. With --adults SUBJECT ... --hnu VOLUMES.csv the
mean volumes of these scans stand beside those that DeepCERES found in other adults.

SUIT, Dice of the 20 merged lobules: where the method tells it, with white matter of the folia counted with its
lobule; and for any method `SUIT_cortex`, where only voxels count that it calls a lobule.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from benchmarks.common.fissures import fissure_contrast
from benchmarks.common.published import as_published
from benchmarks.common.tables import write_table
from cerebatch.building.place import agreement, suit_on_box
from cerebatch.building.suit import WHITE_MATTER, merge_cobralab
from cerebatch.io.labelmaps import read_codes, read_dseg
from cerebatch.labels import LABELS
from cerebatch.library.store import open_library
from cerebatch.measures.morphology import closed
from cerebatch.measures.overlap import dice, hausdorff95_mm, largest_piece_share
from cerebatch.spatial.space import Grid, LabelMap, cerebellum_box

CEREBELLUM = (7, 8, 46, 47)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("--suit", type=Path, required=True)
    parser.add_argument("--freesurfer", action="append", default=[], metavar="SUBJECT=DSEG")
    parser.add_argument("--adults", nargs="*", default=[], metavar="SUBJECT")
    parser.add_argument("--hnu", type=Path, help="volumes that DeepCERES found in the HNU people")
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
        with_folia = path.with_name(path.name.replace("_res-1_", "_res-1_desc-withfolia_"))
        merged = merge_cobralab(dseg)
        if with_folia.exists():
            row["SUIT"] = lobules(agreement(merge_cobralab(read_dseg(with_folia)[0]), suit, box))
        cortex = (merged > 0) & (merged != WHITE_MATTER) & (suit > 0)
        row["SUIT_cortex"] = lobules(agreement(merged * cortex, suit * cortex, box))
        row["SUIT_cerebellum"] = agreement(merged, suit, box)["cerebellum"]
        t1w = nib.load(path.with_name(path.name.replace("_seg-lobules_res-1_dseg", "_res-1_desc-preproc_T1w")))
        row["fissures"] = fissure_contrast(np.asarray(t1w.dataobj, dtype=np.float32), dseg, 1.0)
        rows.append(row)
    table = pd.DataFrame(rows).set_index("scan")
    print(table.drop(columns=[label.name for label in LABELS]).round(3).to_string())
    write_table(table.reset_index(), options.out)
    if options.hnu is not None:
        print(beside_hnu(options.run, options.adults, options.hnu).round(2).to_string())
    for pair in options.freesurfer:
        name, path = pair.split("=", 1)
        (ours,) = options.run.glob(f"sub-{name}/**/anat/sub-{name}*_seg-lobules_dseg.nii.gz")
        if "space-" not in ours.name:
            dseg, grid = read_dseg(ours)
            compare(name, dseg, grid, Path(path))


def lobules(found: dict[str, float]) -> float:
    """Mean Dice of the merged lobules."""
    return float(np.mean([value for key, value in found.items() if key != "cerebellum"]))


def beside_hnu(run: Path, adults: list[str], theirs: Path) -> pd.DataFrame:
    """Mean and SD of each structure's volume, cm3 of the head: of our adults, and of people that DeepCERES measured."""
    rows = []
    for subject in adults:
        (path,) = run.glob(f"sub-{subject}/**/anat/sub-{subject}*_seg-lobules_volumes.tsv")
        table = pd.read_csv(path, sep="\t").set_index(["structure", "side"])["volume_cm3"]
        rows.append({label.name: table[label.structure, label.side] for label in LABELS})
    ours = as_published(pd.DataFrame(rows))
    other = pd.read_csv(theirs)
    people = other.groupby("ID")[list(ours.columns)].mean()
    found = pd.DataFrame({"ours": ours.mean(), "SD": ours.std(), "HNU": people.mean(), "SD of HNU": people.std()})
    found.loc["all"] = [
        ours.sum(axis=1).mean(),
        ours.sum(axis=1).std(),
        people.sum(axis=1).mean(),
        people.sum(axis=1).std(),
    ]
    return found.assign(ratio=found["ours"] / found["HNU"])


def volume_range(path: Path) -> tuple[dict[int, float], dict[int, float]]:
    """Smallest and largest volume of each structure among the cases of a library, cm3 in MNI."""
    library = open_library(path)
    edge = float(library.grid.voxel_volume_mm3)
    counts = np.stack([np.bincount(library.dseg(k).ravel(), minlength=27) for k in range(len(library.names))])
    low, high = counts.min(axis=0) * edge / 1000, counts.max(axis=0) * edge / 1000
    return dict(enumerate(low)), dict(enumerate(high))


def compare(name: str, dseg: LabelMap, grid: Grid, theirs: Path) -> None:
    """Whole cerebellum against FreeSurfer's, on the scan's own grid."""
    codes, other_grid = read_codes(theirs)
    if codes.shape != dseg.shape or not np.allclose(grid.affine, other_grid.affine, atol=1e-3):
        raise SystemExit(f"{theirs}: not on the grid of {name}")
    one, other = dseg > 0, np.isin(codes, CEREBELLUM)
    print(f"{name} raw: Dice {dice(one, other):.3f}, ratio of volumes {one.sum() / other.sum():.3f}")
    one, other = closed(one, grid), closed(other, grid)
    print(
        f"{name} closed by 2 mm: Dice {dice(one, other):.3f}, ratio {one.sum() / other.sum():.3f}, "
        f"95% Hausdorff distance {hausdorff95_mm(one, other, grid):.2f} mm"
    )


if __name__ == "__main__":
    main()
