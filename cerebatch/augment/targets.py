"""What a labelled case may be bent onto: scans of a BIDS dataset, or what a run has prepared already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cerebatch.errors import DatasetError, ScanGeometryError, ScanVoxelError, UnreadableScanError
from cerebatch.io.bids import Case, Problem, find_cases, output_name
from cerebatch.io.description import makers, read_description
from cerebatch.io.images import open_image, refusing
from cerebatch.io.participants import MISSING, read_participants
from cerebatch.spatial.space import RESOLUTIONS, TEMPLATE_SPACE, Volume, cerebellum_box
from lifespan.simulated import is_simulated

_UNKNOWN = (
    "These people are simulated, and the output of a run does not tell from which maps: splits of the set cannot keep "
    "them apart from the people of these maps. Where that matters give the dataset itself."
)


@dataclass(frozen=True)
class Target:
    """One scan whose shape a labelled case will take.

    Attributes
    ----------
    name : str
        ``sub-X[_ses-Y]``.
    person : str
        Label of the participant, without ``sub-``; sessions of one person share it.
    t1w : Path
        The scan, or the prepared T1w in the box.
    case : Case or None
        The scan's case in its BIDS dataset; None where it is prepared already.
    made_from : tuple of str
        Published maps whose anatomy a simulated person has, as `cerebatch simulate` tells.
    """

    name: str
    person: str
    t1w: Path
    case: Case | None = None
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Targets:
    """What a folder holds.

    Attributes
    ----------
    found : tuple of Target
        In the order of their names.
    problems : tuple of Problem
        Cases that cannot be targets, and why.
    prepared : bool
        Whether the targets are prepared already.
    warnings : tuple of str
    """

    found: tuple[Target, ...]
    problems: tuple[Problem, ...]
    prepared: bool
    warnings: tuple[str, ...] = ()


def find_targets(folder: Path, resolution: float) -> Targets:
    """Find the targets in a BIDS dataset or in the output folder of `cerebatch run`.

    Parameters
    ----------
    folder : Path
        A relative one is one of the current folder.
    resolution : float
        Of the library, voxel edge in millimetres.

    Raises
    ------
    DatasetError
        Neither of both, or nothing in it at this resolution.
    """
    folder = folder.absolute()
    if not _is_output_of_run(folder):
        cohort = find_cases(folder)
        made_from = _made_from(folder)
        scans = tuple(
            Target(case.name, case.participant, case.t1w, case, made_from.get(case.participant, ()))
            for case in cohort.cases
        )
        return Targets(scans, tuple(cohort.problems), False, tuple(cohort.warnings))
    found, problems = [], []
    people = [path for path in sorted(folder.glob("sub-*")) if path.is_dir()]
    for anat in (anat for person in people for anat in sorted([*person.glob("anat"), *person.glob("ses-*/anat")])):
        session = anat.parent.name.removeprefix("ses-") if anat.parent.name.startswith("ses-") else None
        participant = anat.relative_to(folder).parts[0].removeprefix("sub-")
        case = Case(participant, session, anat, None)
        path = anat / output_name(
            case, "T1w", ".nii.gz", space=TEMPLATE_SPACE, res=RESOLUTIONS[str(resolution)], desc="preproc"
        )
        if path.is_file():
            found.append(Target(case.name, participant, path))
        else:
            reason = "No prepared T1w: the run did not finish this case. Run it again."
            problems.append(Problem(participant, session, path, reason))
    if not found:
        raise DatasetError(
            folder,
            expected=f"prepared T1w images at {resolution} mm (*_res-{RESOLUTIONS[str(resolution)]}_desc-preproc_T1w)",
            found=f"none in the output of {len(people)} participants",
            do=f"Run it with --resolution {resolution}, or give a library of the output's resolution.",
        )
    return Targets(tuple(found), tuple(problems), True, (_UNKNOWN,) if is_simulated(folder) else ())


def read_prepared(path: Path, resolution: float) -> Volume:
    """Read a prepared T1w in the cerebellum box.

    Parameters
    ----------
    path : Path
        NIfTI that `prepare` or a run wrote.
    resolution : float
        Voxel edge in millimetres.

    Returns
    -------
    t1w : (X, Y, Z) float32

    Raises
    ------
    ScanError
        No image, not on the box, or voxels that are not finite.
    """

    def refuse(error: Exception) -> UnreadableScanError:
        return UnreadableScanError(
            path, expected="a prepared T1w (NIfTI)", found=f"no readable image ({error})", do="Run the scan again."
        )

    with refusing(refuse):
        image = open_image(path)
        voxels = np.asarray(image.dataobj, dtype=np.float32)
    box = cerebellum_box(resolution)
    if voxels.shape != box.shape or not np.allclose(image.affine, box.affine, atol=1e-3):
        raise ScanGeometryError(
            path,
            expected=f"the cerebellum box at {resolution} mm, {box.shape} voxels",
            found=f"{voxels.shape} voxels at {image.affine[:3, 3].round(1).tolist()}",
            do="Run the scan again at the library's resolution.",
        )
    if not np.isfinite(voxels).all():
        raise ScanVoxelError(path, expected="finite voxels", found="NaN or infinity", do="Run the scan again.")
    return voxels


def _made_from(folder: Path) -> dict[str, tuple[str, ...]]:
    """Participant of a simulated dataset -> the maps that it was made from, as far as participants.tsv tells."""
    if not is_simulated(folder):
        return {}
    rows, _ = read_participants(folder)
    told = {participant: row.get("made_from", "") for participant, row in rows.items()}
    return {participant: tuple(text.split(",")) for participant, text in told.items() if text.lower() not in MISSING}


def _is_output_of_run(folder: Path) -> bool:
    description = read_description(folder)
    return description.get("DatasetType") == "derivative" and any(
        one.get("Name") == "cerebatch" for one in makers(description)
    )
