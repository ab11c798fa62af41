"""Two folders of networks on a simulated cohort whose truth is known: Dice by age, and volumes for `lifespan compare`.

    cerebatch simulate COHORT --people 24 --lobules LOBULES --heads HEADS --source subject-3 --t2w
    python benchmarks/by_age.py COHORT OUT --networks before=FOLDS/subject-3 after=TUNED/subject-3
    cerebatch lifespan compare OUT/before.tsv OUT/after.tsv --tool cerebatch

Each scan goes through `prepare` once (kept in OUT/work) and through each folder's networks, without an atlas, in
bfloat16; the truth is brought into the box by the affine that `prepare` found. OUT/dice.tsv has a row a person and
folder, OUT/NAME.tsv the volumes that its networks found, a column a structure, in cm3 of the head; the truth's lie
beside as truth.tsv.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from cerebatch.errors import RegistrationError
from cerebatch.evaluation.overlap import dice, mean_dice
from cerebatch.files import read_voxels
from cerebatch.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.networks.ensemble import load
from cerebatch.space import LabelMap, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import Prepared, prepare

RESOLUTION = 1.0
GROUPS = [0, 6, 12, 18, 40, 65, 120]
"""Ages in years between which means are taken."""


def main() -> None:
    """Label everybody, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (pair.split("=", 1) for pair in options.networks)}
    people = pd.read_csv(options.cohort / "participants.tsv", sep="\t")
    work = partial(one_person, options.cohort, options.out / "work", folders)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        rows = [row for found in pool.map(work, people["participant_id"]) for row in found]
    found = people[["participant_id", "age", "sex"]].merge(pd.DataFrame(rows), on="participant_id")
    structures = [f"{label.name}_cm3" for label in LABELS]
    for name, table in found.groupby("networks"):
        table[["participant_id", "age", "sex", *structures]].to_csv(
            options.out / f"{name}.tsv", sep="\t", index=False, float_format="%.4f"
        )
    scores = found[found["networks"] != "truth"].drop(columns=structures)
    scores.to_csv(options.out / "dice.tsv", sep="\t", index=False, float_format="%.4f")
    ages = pd.cut(scores["age"], GROUPS, right=False)
    done = found["participant_id"].nunique()
    print(f"{done} of {len(people)} people; mean Dice over 24 structures, and of the whole cerebellum, by age")
    print(
        scores.pivot_table(index=ages, columns="networks", values=["dice", "whole"], observed=True, margins=True)
        .round(3)
        .to_string()
    )


def one_person(cohort: Path, work: Path, folders: dict[str, Path], subject: str) -> list[dict[str, object]]:
    """A row for the truth, and one for each folder of networks."""
    place = work / subject
    anat = cohort / subject / "anat"
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
    derivative = cohort / "derivatives/simulated-truth" / subject / "anat"
    dseg, grid = read_dseg(derivative / f"{subject}_seg-lobules_dseg.nii.gz")
    truth = resample_labels(dseg, grid, cerebellum_box(RESOLUTION), inverse(affine))
    t1w = read_voxels(place / "T1w.nii.gz")
    t2w_voxels = read_voxels(place / "T2w.nii.gz") if t2w_path.exists() else None
    rows: list[dict[str, object]] = [{"participant_id": subject, "networks": "truth", **volumes(truth, voxel_cm3)}]
    for name, folder in folders.items():
        found = load(folder).segment(t1w, t2w_voxels, precision="bfloat16").dseg
        rows.append(
            {
                "participant_id": subject,
                "networks": name,
                "dice": mean_dice(found, truth),
                "whole": dice(found > 0, truth > 0),
                **volumes(found, voxel_cm3),
            }
        )
    return rows


def volumes(dseg: LabelMap, voxel_cm3: float) -> dict[str, float]:
    """Volume of each structure."""
    counts = np.bincount(dseg.ravel(), minlength=len(LABELS) + 1) * voxel_cm3
    return {f"{label.name}_cm3": float(counts[label.index]) for label in LABELS}


if __name__ == "__main__":
    main()
