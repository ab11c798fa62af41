"""People of the phantom as a BIDS dataset with their truth beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cerebatch import labels
from cerebatch.io.files import require_empty, write_image, write_json, write_label_table, write_rows
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.simulation.phantom.people import Phantom, person
from cerebatch.spatial import space
from lifespan.simulated import KEY

MADE_UP = (
    "A phantom: a template head whose cerebellum is made by formula. No person was scanned; all values are made up."
)

TRUTH = "derivatives/phantom-truth"


def write_cohort(
    out_dir: Path | str,
    people: int,
    seed: int,
    *,
    resolution_mm: float = 1.0,
    skull: bool = True,
    t2: bool = False,
) -> list[Path]:
    """Write people as a BIDS dataset, and what is true of them under ``derivatives/phantom-truth``.

    Parameters
    ----------
    out_dir : Path or str
        Made where missing; must be empty.
    people : int
        How many.
    seed : int
        Decides everything; the same seed gives the same bytes, and more people begin with the same ones.
    resolution_mm : float
        Edge of the scans' voxels.
    skull, t2 : bool
        As for `person`.

    Returns
    -------
    scans : list of Path
        The T1-weighted scans in the order of the participants.

    Raises
    ------
    DatasetError
        The folder holds something already.
    """
    root = Path(out_dir)
    require_empty(root)
    truth = root / TRUTH
    case, box = template_case(1.0)
    write_image(truth / f"tpl-{space.TEMPLATE_SPACE}_seg-lobules_res-1_dseg.nii.gz", case, box, "MNI")
    write_label_table(truth / f"tpl-{space.TEMPLATE_SPACE}_seg-lobules_res-1_dseg.tsv")

    scans, participants, volumes = [], [], []
    for number, person_seed in enumerate(np.random.SeedSequence(seed).generate_state(people), start=1):
        name = f"sub-phantom{number:03d}"
        made = person(int(person_seed), resolution_mm=resolution_mm, skull=skull, t2=t2)
        scans.append(_write_scans(root / name / "anat", name, made, skull=skull))
        _write_truth(truth / name / "anat", name, made)
        participants.append({"participant_id": name} | _drawn_participant(int(person_seed)))
        volumes.append(
            {"participant_id": name, "icv_cm3": f"{made.icv_cm3:.3f}"}
            | {label.abbreviation: f"{made.volumes_cm3[label.index]:.4f}" for label in labels.LABELS}
        )
    write_rows(root / "participants.tsv", participants)
    write_rows(truth / "volumes.tsv", volumes)
    _write_descriptions(root)
    return scans


def _drawn_participant(seed: int) -> dict[str, object]:
    rng = np.random.default_rng([seed, 1])
    return {"age": int(rng.integers(20, 81)), "sex": str(rng.choice(["F", "M"]))}


def _write_scans(folder: Path, name: str, made: Phantom, *, skull: bool) -> Path:
    for suffix, scan in (("T1w", made.t1w), ("T2w", made.t2w)):
        if scan is not None:
            write_image(folder / f"{name}_{suffix}.nii.gz", np.rint(scan).astype(np.int16), made.grid, "native")
            write_json(folder / f"{name}_{suffix}.json", {"Description": MADE_UP, "SkullStripped": not skull})
    return folder / f"{name}_T1w.nii.gz"


def _write_truth(folder: Path, name: str, made: Phantom) -> None:
    write_image(folder / f"{name}_seg-lobules_dseg.nii.gz", made.dseg, made.grid, "native")
    write_label_table(folder / f"{name}_seg-lobules_dseg.tsv")
    affine = folder / f"{name}_from-T1w_to-{space.TEMPLATE_SPACE}_mode-points_xfm.txt"
    np.savetxt(affine, made.mni_from_native, fmt="%.9f")


def _write_descriptions(root: Path) -> None:
    write_json(
        root / "dataset_description.json",
        {"Name": "cerebatch phantom (made up, not people)", "BIDSVersion": "1.10.0", "DatasetType": "raw", KEY: True},
    )
    write_json(
        root / "participants.json",
        {
            "age": {"Description": "Made up; nothing in the scan depends on it", "Units": "year"},
            "sex": {"Description": "Made up; nothing in the scan depends on it", "Levels": {"F": "F", "M": "M"}},
        },
    )
    (root / "README").write_text(
        f"{MADE_UP}\n\nWritten by `cerebatch simulate --phantoms`. Sizes of the 26 structures follow published maps "
        f"(Park et al. 2014);\nthe rest of the head is the {space.TEMPLATE_SPACE} template. True label maps and "
        f"volumes are in {TRUTH}.\n"
    )
    write_json(
        root / TRUTH / "dataset_description.json",
        {
            "Name": "Truth of the cerebatch phantom (made up, not people)",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "cerebatch simulate"}],
            KEY: True,
        },
    )
    write_json(
        root / TRUTH / "volumes.json",
        {"icv_cm3": {"Description": "Intracranial volume", "Units": "cm3"}}
        | {label.abbreviation: {"Description": label.name, "Units": "cm3"} for label in labels.LABELS},
    )
