"""Stage 3, for now: the labels are those of the atlas, or of one labelled case carried over by the affine alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cerebatch.errors import LabelMapError
from cerebatch.files import write_image
from cerebatch.labelmaps import read_dseg
from cerebatch.space import TEMPLATE_SPACE, Grid, LabelMap, apply, cerebellum_box, resample_labels
from cerebatch.steps import Step, StepLog

VERSION = 2
SINGLE_CASE, ATLAS = "single case", "atlas"
"""Methods, as every output names them."""


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
