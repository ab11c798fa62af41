"""Folders of networks on simulated scans whose truth is known: Dice, errors of volumes, tables for `lifespan compare`.

    cerebatch simulate COHORT --people 300 --lobules LOBULES --heads HEADS --source subject-3
    python -m benchmarks.accuracy.before_after COHORT OUT --networks before=TUNED/before after=TUNED/augmented
    cerebatch lifespan compare OUT/before.tsv OUT/after.tsv --tool cerebatch

or, on the images of `benchmarks/accuracy/known_scans.py`, which have no age, the same without the last line. Each scan
goes through `prepare` once (kept in OUT/work) and through each folder's networks, without an atlas, in bfloat16; the
truth is brought into the box by the affine that `prepare` found. OUT/scores.tsv has a row a person and folder,
OUT/NAME.tsv the volumes that its networks found, a column a structure, in cm3 of the head; the truth's lie beside as
truth.tsv. Structures are compared between the first folder and each other by the two-sided Wilcoxon test.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from benchmarks.common.tables import write_table
from cerebatch.errors import RegistrationError
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.measures.overlap import SCORED, dice, dice_by_structure, mean_dice
from cerebatch.networks.ensemble import load
from cerebatch.simulation.cohorts import cohort as simulated
from cerebatch.simulation.scenes import known_scans
from cerebatch.spatial.space import LabelMap, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import Prepared, prepare

RESOLUTION = 1.0
AGES = [0, 6, 12, 18, 40, 65, 120]
GROUPS = [f"{low:2} to {high} years" for low, high in pairwise(AGES)]
"""Ages between which means are taken."""

STRUCTURES = [label.name for label in LABELS]
VOLUMES = [f"{name}_cm3" for name in STRUCTURES]


def main() -> None:
    """Label everybody, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--people", type=int, help="only so many, the first")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (pair.split("=", 1) for pair in options.networks)}
    people = people_of(options.dataset)[: options.people]
    work = partial(one_person, options.dataset, options.out / "work", folders)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        rows = [row for found in pool.map(work, people["participant_id"]) for row in found]
    found = people.merge(pd.DataFrame(rows), on="participant_id")
    for name, table in found.groupby("networks"):
        write_table(table[[*people.columns, *VOLUMES]], options.out / f"{name}.tsv")
    scores = found[found["networks"] != "truth"].drop(columns=VOLUMES)
    write_table(scores, options.out / "scores.tsv")
    print(f"{found['participant_id'].nunique()} of {len(people)} people")
    print_scores(scores, list(folders))
    print("\nCorrelation of volumes with the true ones, by structure")
    print(correlations(found, list(folders)).round(3).to_string())


def print_scores(scores: pd.DataFrame, names: list[str]) -> None:
    """Means by age, or by scan where no ages are told, and by structure."""
    scans = scores["participant_id"]
    groups = pd.cut(scores["age"], AGES, right=False, labels=GROUPS).astype(str) if "age" in scores else scans
    values = ["dice", "whole", "error_percent", "whole_error_percent"]
    means = scores.assign(group=groups).pivot_table(index="group", columns="networks", values=values, margins=True)
    print(
        "mean Dice over 24 structures, Dice of the whole cerebellum, mean error of the 24 volumes and of the whole, %"
    )
    print(means[values].round(3).to_string())
    print("\nDice by structure, and p of the difference from the first")
    print(by_structure(scores, names).round(4).to_string())


def people_of(dataset: Path) -> pd.DataFrame:
    """Who is in it: participant_id, and age and sex where they are told."""
    table = dataset / "participants.tsv"
    if table.exists():
        return pd.read_csv(table, sep="\t")[["participant_id", "age", "sex"]]
    return pd.DataFrame({"participant_id": sorted(folder.name for folder in dataset.glob("sub-*"))})


def by_structure(scores: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Table 8: mean Dice of each structure by each folder, and whether it is another than the first one's."""
    tables = {name: scores[scores["networks"] == name].set_index("participant_id")[STRUCTURES] for name in names}
    result = pd.DataFrame({name: table.mean() for name, table in tables.items()})
    first, *others = names
    for name in others:
        result[f"p {name}"] = wilcoxon(tables[first], tables[name], axis=0, nan_policy="omit").pvalue
    return result


def correlations(found: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """How well each structure's volumes follow the true ones from person to person; a mean below."""
    truth, *tables = (
        found[found["networks"] == name].set_index("participant_id")[VOLUMES] for name in ("truth", *names)
    )
    result = pd.DataFrame({name: table.corrwith(truth) for name, table in zip(names, tables, strict=True)})
    result = result.rename(index=dict(zip(VOLUMES, STRUCTURES, strict=True)))
    result.loc["mean"] = result.mean()
    return result


def one_person(dataset: Path, work: Path, folders: dict[str, Path], subject: str) -> list[dict[str, object]]:
    """A row for the truth, and one for each folder of networks; none where the scan cannot be registered."""
    place = work / subject
    anat = dataset / subject / "anat"
    t2w_path = anat / f"{subject}_T2w.nii.gz"
    if not (place / "prepared.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        t2w = t2w_path if t2w_path.exists() else None
        try:
            prepare(anat / f"{subject}_T1w.nii.gz", place, t2w=t2w, resolution=RESOLUTION)
        except RegistrationError as error:
            print(f"left out: {subject}: {error}", flush=True)
            return []
    affine = Prepared.read(place).affine
    voxel_cm3 = RESOLUTION**3 / float(np.linalg.det(affine[:3, :3])) / 1000
    truth = true_labels(dataset, subject, place)
    true_volumes = volumes(truth, voxel_cm3)
    t1w = read_voxels(place / "T1w.nii.gz")
    t2w_voxels = read_voxels(place / "T2w.nii.gz") if t2w_path.exists() else None
    rows: list[dict[str, object]] = [{"participant_id": subject, "networks": "truth", **columns(true_volumes)}]
    for name, folder in folders.items():
        said = load(folder).segment(t1w, t2w_voxels, precision="bfloat16").dseg
        found = volumes(said, voxel_cm3)
        scored = np.array(SCORED) - 1
        rows.append(
            {
                "participant_id": subject,
                "networks": name,
                "dice": mean_dice(said, truth),
                "whole": dice(said > 0, truth > 0),
                "error_percent": 100 * np.abs(found / true_volumes - 1)[scored].mean(),
                "whole_error_percent": 100 * abs(found.sum() / true_volumes.sum() - 1),
                **dict(zip(STRUCTURES, dice_by_structure(said, truth), strict=True)),
                **columns(found),
            }
        )
    return rows


def true_labels(dataset: Path, subject: str, prepared: Path) -> LabelMap:
    """The truth in the box."""
    file = f"{subject}/anat/{subject}_seg-lobules_dseg.nii.gz"
    [path] = [
        dataset / truth / file for truth in (simulated.TRUTH, known_scans.TRUTH) if (dataset / truth / file).exists()
    ]
    dseg, grid = read_dseg(path)
    return resample_labels(dseg, grid, cerebellum_box(RESOLUTION), inverse(Prepared.read(prepared).affine))


def volumes(dseg: LabelMap, voxel_cm3: float) -> NDArray[np.float64]:
    """Volume of each structure in cm3, in the order of their codes."""
    return np.bincount(dseg.ravel(), minlength=len(LABELS) + 1)[1:].astype(np.float64) * voxel_cm3


def columns(found: NDArray[np.float64]) -> dict[str, float]:
    """Volumes by the names of their columns."""
    return dict(zip(VOLUMES, found.tolist(), strict=True))


if __name__ == "__main__":
    main()
