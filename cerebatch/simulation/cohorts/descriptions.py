"""What a simulated dataset says of itself, for people and for programs."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from cerebatch.io.files import write_json
from cerebatch.measures.volumes import COLUMNS
from cerebatch.simulation.cohorts.published_cohorts import DIAGNOSES
from cerebatch.simulation.cohorts.resume import TOOL
from cerebatch.simulation.cohorts.source import Source
from lifespan.simulated import KEY

WORDS = (
    "Simulated people: nobody was scanned, and ages, sexes and diagnoses are made up. No bounds of normal volumes may "
    "be made from them."
)
"""Stands in everything that is written."""

_BIDS_VERSION = "1.10.0"


def cohort_description(source: Source, seed: int, voxel_mm: float) -> dict[str, Any]:
    """Content of dataset_description.json of a dataset: the same for two cohorts if they differ in their people alone.

    Parameters
    ----------
    source : Source
    seed : int
    voxel_mm : float
        Edge of the voxels, about.
    """
    words = f"{WORDS} {source.description} Voxels of {voxel_mm:g} mm, seed {seed}."
    licence = {} if source.licence is None else {"License": source.licence}
    return {
        "Name": "Simulated lifespan cohort (not people)", "BIDSVersion": _BIDS_VERSION, "DatasetType": "raw", **licence,
        "GeneratedBy": [{"Name": TOOL, "Version": version("cerebatch"), "Description": words}], KEY: True,
    }  # fmt: skip


def write_descriptions(root: Path, truth: Path, description: dict[str, Any], source: Source) -> None:
    """Write dataset_description.json, data dictionaries and README of a dataset and of its truth.

    Parameters
    ----------
    root, truth : Path
    description : dict
        Of `cohort_description`.
    source : Source
    """
    words = f"{WORDS} {source.description}"
    write_json(root / "dataset_description.json", description)
    of_truth = {"Name": "Truth of a simulated lifespan cohort (not people)", "DatasetType": "derivative"}
    write_json(truth / "dataset_description.json", description | of_truth)
    write_json(root / "participants.json", PARTICIPANTS)
    for suffix in ("T1w", "T2w"):
        write_json(root / f"{suffix}.json", {"Description": words})
    (root / "README").write_text(
        f"{words}\n\nWritten by `cerebatch simulate`. True label maps, volumes and the scanners' settings are in "
        f"{truth.relative_to(root).as_posix()}.\n"
    )
    write_json(truth / "seg-lobules_dseg.json", {"Description": LABELS, "Manual": False})
    write_json(truth / "seg-lobules_volumes.json", VOLUMES)
    write_json(truth / "scanners.json", {name: {"Description": text} for name, text in SCANNERS.items()})


PARTICIPANTS = {
    "age": {
        "Description": "Made up; the cerebellum is as large and its fissures as open as chosen for it",
        "Units": "year",
    },
    "sex": {"Description": "Made up", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Scanner; its settings are in the truth's scanners.tsv"},
    "diagnosis": {"Description": "Made up", "Levels": DIAGNOSES},
    "dataset": {
        "Description": "Row of Table 1 of Morell-Ortega et al. (2024) whose size, ages and sexes were followed, or "
        "lifespan. Nobody of these datasets is in here; IRC0 and UCLA together are C-MIND"
    },
    "made_from": {
        "Description": "The published lobule map and head map whose people it has the anatomy of; n/a from the template"
    },
}

LABELS = (
    "True labels on the samples that the scan was averaged from. What is 0 is no tissue of the cerebellum: open "
    "fissures, too. White matter inside the lobules counts as white matter; with desc-withfolia as its lobule"
)

VOLUMES = {
    "icv_cm3": {"Description": "True intracranial volume", "Units": "cm3"},
    **COLUMNS,
    "volume_cm3": {"Description": "Voxels of the true label map", "Units": "cm3"},
    "native_count_cm3": {"Description": "The same", "Units": "cm3"},
    "with_folia_cm3": {"Description": "Voxels of the true label map with desc-withfolia", "Units": "cm3"},
}

SCANNERS = {
    "voxel_mm": "Edges along right-left, back-front and foot-head, millimetres",
    "orientation": "Order of the stored axes",
    "contrast": "Exponent of brightness",
    "snr": "White matter in T1 over the standard deviation of the noise",
    "bias": "Standard deviation of the logarithm of the receiver's field",
    "smoothing_mm": "Full width at half maximum of smoothing besides the voxel",
    "brightness": "Stored value of white matter in T1",
    "stretch": "Length that the gradients give to a millimetre along each axis; truth and scan are both stretched",
}
