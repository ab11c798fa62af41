"""Stage 3, for now: one labelled case on the template is carried over to the scan by the affine alone."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import LabelMapError
from cerebatch.files import write_image
from cerebatch.labels import LABELS
from cerebatch.space import Grid, LabelMap, apply, cerebellum_box, inverse, resample_labels
from cerebatch.steps import Step, StepLog

VERSION = 1
METHOD = "single case"


def segment(labelled_case: Path, folder: Path, *, resolution: float = 1.0, threads: int = 1) -> list[Step]:
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
        No such image, codes outside the protocol, no labels, or labels outside the box.
    """
    try:
        image = nib.load(path)
        stored = np.asanyarray(image.dataobj)
    except Exception as error:
        raise LabelMapError(
            path,
            expected="a label map on the template (NIfTI, cerebatch codes)",
            found=f"no readable image ({error})",
            do="Give the path of a map that `cerebatch library place` or `cerebatch simulate` wrote.",
        ) from error
    codes = np.unique(stored)
    highest = len(LABELS)
    if stored.ndim != 3 or not np.all((codes >= 0) & (codes <= highest) & (codes == np.round(codes))):
        raise LabelMapError(
            path,
            expected=f"a three-dimensional map of codes 0 to {highest}",
            found=f"{stored.ndim} dimensions and codes {codes.min()} to {codes.max()}",
            do="Translate the map into cerebatch codes first (`cerebatch library place` does it for CoBrALab maps).",
        )
    grid = Grid.of(image)
    labelled = np.argwhere(stored > 0)
    if len(labelled) == 0:
        raise LabelMapError(
            path, expected="at least one labelled voxel", found="background only", do="Give another labelled case."
        )
    outside = _outside_box(labelled, grid)
    if outside:
        raise LabelMapError(
            path,
            expected="all labels inside the cerebellum box of the MNI frame",
            found=f"{outside} of {len(labelled)} labelled voxels outside",
            do="The map must be in MNI152NLin2009aSym space; `cerebatch library place` brings it there.",
        )
    return stored.astype(np.uint8), grid


def _outside_box(labelled: NDArray[np.int64], grid: Grid) -> int:
    box = cerebellum_box(1.0)
    at = apply(inverse(box.affine) @ grid.affine, labelled.astype(float))
    return int(np.sum(np.any((at < -0.5) | (at > np.array(box.shape) - 0.5), axis=1)))
