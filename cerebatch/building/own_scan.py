"""The scans of the lobule maps' own people, where a lab has them: a real scan with its real labels."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cerebatch.building.arbor import white_apart
from cerebatch.building.fit import LobuleMap
from cerebatch.errors import InputError, LabelMapError
from cerebatch.intensity.tissue import TARGETS
from cerebatch.io.images import read_voxels
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.case import LabelledCase
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.tissues import TISSUES
from cerebatch.measures.borders import visible_share
from cerebatch.spatial.blocks import fine_mm, majority
from cerebatch.spatial.space import apply, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import Prepared, prepare

_WHITE_ABOVE = (TARGETS["T1w"].gm + TARGETS["T1w"].wm) / 2


@dataclass(frozen=True)
class OwnScan:
    """A lobule map and the scans it was drawn on, all in one frame.

    Attributes
    ----------
    lobules : LobuleMap
    t1w, t2w : Path
    """

    lobules: LobuleMap
    t1w: Path
    t2w: Path

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"{self.lobules.name}_own"


def find_own_scans(folder: Path, maps: list[LobuleMap]) -> dict[str, OwnScan]:
    """Scans named after their maps: ``subject-1_T1w.nii.gz`` and ``subject-1_T2w.nii.gz`` for ``subject-1``.

    Raises
    ------
    InputError
        A map has only one of the two, or no map has any.
    """
    found = {}
    for lobules in maps:
        paths = [folder / f"{lobules.name}_{contrast}.nii.gz" for contrast in CONTRASTS]
        there = [path for path in paths if path.exists()]
        if len(there) == 1:
            missing = next(path for path in paths if not path.exists())
            raise InputError(missing, expected="a scan of each contrast", found=f"only {there[0].name}", do="Add it.")
        if there:
            scan = OwnScan(lobules, *paths)
            found[scan.name] = scan
    if not found:
        raise InputError(
            folder,
            expected=f"scans named after the maps, such as {maps[0].name}_T1w.nii.gz and {maps[0].name}_T2w.nii.gz",
            found="none",
            do="Convert the scans of the maps' people to NIfTI and name them so.",
        )
    return found


def make_own_case(scan: OwnScan, resolution: float, seed: int) -> LabelledCase:
    """Prepare the scans as any other, and bring the map along by their affine.

    White matter inside the lobules is what the T1w shows there, as in section 2.1.

    Parameters
    ----------
    scan : OwnScan
    resolution : float
        Voxel edge of the box in millimetres.
    seed : int
        Of the registration.

    Raises
    ------
    InputError
        A scan cannot be used, or the map lies outside the box once registered.
    StageError
        The scan could not be prepared.
    """
    with tempfile.TemporaryDirectory(prefix="cerebatch-") as name:
        folder = Path(name)
        prepare(scan.t1w, folder, t2w=scan.t2w, resolution=resolution, seed=seed)
        mni_from_map = Prepared.read(folder).affine
        image = np.stack([read_voxels(folder / f"{contrast}.nii.gz") for contrast in CONTRASTS])
    lobules = scan.lobules
    edge = fine_mm(resolution)
    box, fine = cerebellum_box(resolution), cerebellum_box(edge)
    labelled_mm = apply(mni_from_map @ lobules.grid.affine, np.argwhere(lobules.dseg > 0).astype(np.float64))
    outside = float(np.mean(~box.holds(labelled_mm)))
    if outside > 0:
        raise LabelMapError(
            scan.t1w,
            expected="a scan in the frame of its lobule map",
            found=f"{100 * outside:.0f}% of the labels outside the cerebellum box once the scan is registered",
            do="Check that the scan and the map belong together.",
        )
    parents = majority(
        resample_labels(lobules.dseg, lobules.grid, fine, inverse(mni_from_map)), round(resolution / edge)
    )
    white = np.isin(parents, WHITE_MATTER) | ((parents > 0) & (image[0] > _WHITE_ABOVE))
    return LabelledCase(
        name=scan.name,
        person=lobules.name,
        head=lobules.name,
        twin="",
        mirrored=False,
        rendered=False,
        overlap=1.0,
        visible_share=visible_share(parents, white, box),
        sources=(lobules.file_name, scan.t1w.name, scan.t2w.name),
        image=image,
        tissue=np.zeros((len(TISSUES), *box.shape), dtype=np.uint8),
        dseg=white_apart(parents, white),
        lobules=parents,
    )
