"""Stage 2: the library's most similar cases become an atlas of the scan (section 2.3)."""

from __future__ import annotations

from pathlib import Path

from cerebatch.atlas.subject_atlas import CASES, DISTANCE_WEIGHT, make_atlas
from cerebatch.io.files import write_image, write_json
from cerebatch.io.images import read_voxels
from cerebatch.library.store import open_library
from cerebatch.networks.auxiliary.loading import register_by
from cerebatch.timing import Step, StepLog

VERSION = 2


def atlas(
    library: Path,
    prepared: Path,
    folder: Path,
    *,
    threads: int = 1,
    registration: Path | None = None,
    composed: bool = False,
) -> list[Step]:
    """Write ``dseg.nii.gz``, ``share.nii.gz``, ``lobules.nii.gz`` and ``atlas.json``.

    Parameters
    ----------
    library : Path
        Finished library of the run's resolution.
    prepared : Path
        Folder that `prepare` wrote.
    folder : Path
        Exists; files in it are overwritten.
    threads : int
    registration : Path, optional
        Weights of the registration network; without it greedy registers.
    composed : bool
        Greedy registers once, to the library's mean.

    Returns
    -------
    steps : list of Step

    Raises
    ------
    LibraryError, WeightsError
        The library or the weights cannot be used.
    StageError
        A registration failed.
    """
    log = StepLog()
    with log.step("open"):
        cases = open_library(library)
        t1w = read_voxels(prepared / "T1w.nii.gz")
    register = None if registration is None else register_by(registration)
    made = make_atlas(t1w, cases, threads=threads, log=log, register=register, composed=composed)
    with log.step("write"):
        write_image(folder / "dseg.nii.gz", made.dseg, cases.grid, "MNI")
        write_image(folder / "share.nii.gz", made.share, cases.grid, "MNI")
        write_image(folder / "lobules.nii.gz", made.lobules, cases.grid, "MNI")
        write_json(folder / "atlas.json", {"Cases": made.cases, "N": CASES, "D": DISTANCE_WEIGHT})
    return log.steps
