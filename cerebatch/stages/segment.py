"""Stage 3: the labels, from the networks, from the atlas alone, or from one labelled case carried over."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import LabelMapError
from cerebatch.io.files import write_image, write_json, write_shares
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.measures.overlap import dice_by_structure
from cerebatch.spatial.space import TEMPLATE_SPACE, Grid, LabelMap, Volume, apply, cerebellum_box, resample_labels
from cerebatch.timing import Step, StepLog

VERSION = 3


def segment_by_networks(
    weights: Path,
    prepared: Path,
    atlas: Path | None,
    folder: Path,
    *,
    precision: Literal["float32", "bfloat16"] = "float32",
    probseg: bool = False,
    t2_synthesis: Path | None = None,
) -> list[Step]:
    """Write ``dseg.nii.gz`` and ``confidence.json`` on the cerebellum box, and ``probseg.nii.gz`` on request.

    Parameters
    ----------
    weights : Path
        Folder of weights; read once in a process.
    prepared : Path
        Folder that `prepare` wrote.
    atlas : Path or None
        Folder that the stage `atlas` wrote; None: the networks go without.
    folder : Path
        Exists; files in it are overwritten.
    precision : {"float32", "bfloat16"}
    probseg : bool
    t2_synthesis : Path, optional
        Weights of the network that makes up a T2w where none was scanned.

    Returns
    -------
    steps : list of Step

    Raises
    ------
    WeightsError
        The weights cannot be used.
    StageError
        The networks found no cerebellum.
    """
    from cerebatch.networks import ensemble  # takes seconds, and only this method needs it

    log = StepLog()
    with log.step("read weights"):
        networks = ensemble.load(weights)
    with log.step("read"):
        box = cerebellum_box(networks.resolution)
        t2w_path = prepared / "T2w.nii.gz"
        t1w, t2w = read_voxels(prepared / "T1w.nii.gz"), read_voxels(t2w_path) if t2w_path.exists() else None
        votes = None if atlas is None else read_dseg(atlas / "dseg.nii.gz")[0]
    if t2w is None and t2_synthesis is not None:
        with log.step("T2 synthesis"):
            t2w = _made_up_t2w(t2_synthesis, t1w, networks.resolution)
    with log.step("networks"):
        found = networks.segment(t1w, t2w, votes, precision=precision)
    with log.step("write"):
        write_image(folder / "dseg.nii.gz", found.dseg, box, "MNI")
        with_atlas = np.full(len(LABELS), np.nan) if votes is None else dice_by_structure(found.dseg, votes)
        write_json(
            folder / "confidence.json",
            {
                "probability": _figures(found.confidence),
                "agreement": _figures(found.agreement),
                "dice_with_atlas": _figures(with_atlas),
            },
        )
        if probseg:
            write_shares(folder / "probseg.nii.gz", np.moveaxis(found.probabilities, 0, -1), box, "MNI")
    return log.steps


def _made_up_t2w(weights: Path, t1w: Volume, resolution: float) -> Volume:
    from cerebatch.networks.auxiliary.loading import helper_card, load_helper
    from cerebatch.networks.auxiliary.t2synth import synthesised_t2w
    from cerebatch.networks.inputs import brain_region

    helper_card(weights, "t2synth", resolution)
    return synthesised_t2w(load_helper(weights, "t2synth"), t1w, brain_region(resolution))


def load_networks(weights: Path) -> None:
    """Read weights now, so that the first scan of a process need not wait for them."""
    from cerebatch.networks import ensemble

    ensemble.load(weights)


def _figures(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else round(float(value), 4) for value in values]


def segment_by_atlas(atlas: Path, folder: Path) -> list[Step]:
    """Take the labels and the share of votes from the atlas.

    Parameters
    ----------
    atlas : Path
        Folder that the stage `atlas` wrote.
    folder : Path
        Exists. Gets what the atlas has.

    Returns
    -------
    steps : list of Step
    """
    log = StepLog()
    with log.step("copy"):
        for path in atlas.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    return log.steps


def segment_by_case(labelled_case: Path, folder: Path, *, resolution: float = 1.0, threads: int = 1) -> list[Step]:
    """Write ``dseg.nii.gz`` on the cerebellum box.

    Parameters
    ----------
    labelled_case : Path
        Label map in the MNI frame, cerebatch codes.
    folder : Path
        Exists; files in it are overwritten.
    resolution : float
        Edge of the MNI grid in millimetres.
    threads : int

    Returns
    -------
    steps : list of Step

    Raises
    ------
    LabelMapError
        The labelled case has codes outside the protocol or labels outside the box.
    """
    log = StepLog()
    with log.step("carry over"):
        case, grid = read_labelled_case(labelled_case)
        box = cerebellum_box(resolution)
        dseg = resample_labels(case, grid, box, np.eye(4), threads)
        write_image(folder / "dseg.nii.gz", dseg, box, "MNI")
    return log.steps


def read_labelled_case(path: Path) -> tuple[LabelMap, Grid]:
    """Read and check a label map on the template.

    Parameters
    ----------
    path : Path
        NIfTI in the MNI frame, cerebatch codes.

    Raises
    ------
    LabelMapError
        No such map, codes outside the protocol, no labels, or labels outside the box.
    """
    dseg, grid = read_dseg(path)
    labelled = np.argwhere(dseg > 0)
    outside = int(np.sum(~cerebellum_box(1.0).holds(apply(grid.affine, labelled.astype(float)))))
    if outside:
        raise LabelMapError(
            path,
            expected="all labels inside the cerebellum box of the MNI frame",
            found=f"{outside} of {len(labelled)} labelled voxels outside",
            do=f"The map must be in {TEMPLATE_SPACE}; `cerebatch library place` brings it there.",
        )
    return dseg, grid
