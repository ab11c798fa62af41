"""Stand-ins for the maps that a library is made from: the phantom, in the codes and frames of the real ones."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch import labels
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.simulation.phantom.head import template_head
from cerebatch.spatial import space
from cerebatch.spatial.template import tissue_probabilities

SCANNER_FROM_MNI = {
    "one": np.diag([0.85, 0.85, 0.85, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, 1]) * np.array([[5], [60], [40], [0]]),
    "two": np.diag([0.8, 0.9, 0.88, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, 1]) * np.array([[-9], [40], [55], [0]]),
}
"""MNI millimetres -> the frame of each person's map."""

STRAY = 217
"""A code outside the protocol, such as subject 3's map holds."""


@pytest.fixture(scope="session")
def lobule_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people's lobule maps in CoBrALab codes, each in a scanner frame of its own."""
    folder = tmp_path_factory.mktemp("lobules")
    dseg, grid = template_case(1.0)
    table = np.zeros(256, dtype=np.uint8)
    for label in labels.LABELS:
        table[label.index] = label.cobralab
    codes = table[dseg]
    codes[0, 0, :3] = STRAY
    for name, scanner_from_mni in SCANNER_FROM_MNI.items():
        nib.save(nib.Nifti1Image(codes, scanner_from_mni @ grid.affine), folder / f"{name}_dseg.nii.gz")
    return folder


@pytest.fixture(scope="session")
def own_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T1w and T2w of the first of the two people, 2 mm, in the frame of the map."""
    folder = tmp_path_factory.mktemp("scans")
    head = template_head()
    affine = SCANNER_FROM_MNI["one"] @ head.grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    for contrast, image in (("T1w", head.t1w), ("T2w", head.t2w)):
        nib.save(nib.Nifti1Image(1000 * image[::2, ::2, ::2], affine), folder / f"one_{contrast}.nii.gz")
    return folder


@pytest.fixture(scope="session")
def head_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One head map in FreeSurfer's and SynthSeg's codes, 2 mm, in a scanner frame."""
    folder = tmp_path_factory.mktemp("heads")
    codes, grid = phantom_head_codes()
    scanner_from_mni = np.diag([0.9, 0.92, 0.9, 1.0])
    scanner_from_mni[:3, 3] = (3, -20, 10)
    nib.save(
        nib.Nifti1Image(codes[::2, ::2, ::2], scanner_from_mni @ grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0])),
        folder / "alpha_dseg.nii.gz",
    )
    return folder


def phantom_head_codes() -> tuple[NDArray[np.int16], space.Grid]:
    """The template's tissues around the phantom's cerebellum."""
    head = template_head()
    gm, wm, _ = tissue_probabilities()
    depth_mm = ndimage.distance_transform_edt(~head.intracranial)
    codes = np.select([depth_mm > 9.5, depth_mm > 6.5, depth_mm > 0.5], [0, 511, 515], 24).astype(np.int16)
    inside = head.intracranial
    codes[inside & (gm > 0.4)] = 3
    codes[inside & (wm > 0.5)] = 2
    x, y, z = np.meshgrid(*[np.arange(n) + o for n, o in zip(codes.shape, head.grid.affine[:3, 3], strict=True)],
                          indexing="ij", sparse=True)  # fmt: skip
    codes[inside & (wm > 0.5) & (abs(x) < 13) & (y > -42) & (y < -12) & (z < -15)] = 16
    dseg, box = template_case(1.0)
    cerebellum = space.resample_labels(dseg, box, head.grid, np.eye(4))
    half = len(labels.STRUCTURES)
    for code, mask in (
        (8, (cerebellum > 0) & (cerebellum < half)), (7, cerebellum == half),
        (47, (cerebellum > half) & (cerebellum < 2 * half)), (46, cerebellum == 2 * half),
    ):  # fmt: skip
        codes[mask] = code
    return codes, head.grid
