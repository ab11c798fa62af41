"""A made-up person: the phantom's lobules as a lobule map, and a head of ellipsoids around the same cerebellum."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cerebatch import labels
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.simulation.scenes.scene import HeadMap, Lobules, read_head_map, read_lobules
from cerebatch.spatial import space

SCALE = 0.85
"""Size of the lobule map over that of the same cerebellum in the head."""


@pytest.fixture(scope="session")
def map_from_head() -> space.Affine:
    """Where the lobule map's frame lies: another scanner, another size."""
    affine = np.eye(4)
    affine[:3, :3] = SCALE * Rotation.from_euler("xyz", (12, -6, 8), degrees=True).as_matrix()
    affine[:3, 3] = (9.0, 60.0, 35.0)
    return affine


@pytest.fixture(scope="session")
def lobule_map(tmp_path_factory: pytest.TempPathFactory, map_from_head: space.Affine) -> Path:
    """The phantom's labels in CoBrALab codes, turned, scaled and shifted."""
    path = tmp_path_factory.mktemp("lobules") / "maker-1_dseg.nii.gz"
    dseg, grid = template_case(1.0)
    table = np.zeros(256, dtype=np.uint8)
    for label in labels.LABELS:
        table[label.index] = label.cobralab
    nib.save(nib.Nifti1Image(table[dseg], map_from_head @ grid.affine), path)
    return path


@pytest.fixture(scope="session")
def head_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of ellipsoids in SynthSeg's codes at 2 mm, stored from right to left."""
    path = tmp_path_factory.mktemp("heads") / "round-07_dseg.nii.gz"
    codes, affine = head_codes()
    mirrored = affine @ np.array([[-1.0, 0, 0, codes.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(codes[::-1], mirrored), path)
    return path


@pytest.fixture(scope="session")
def lobules(lobule_map: Path) -> Lobules:
    return read_lobules(lobule_map)


@pytest.fixture(scope="session")
def head(head_map: Path) -> HeadMap:
    return read_head_map(head_map)


def head_codes() -> tuple[NDArray[np.int16], space.Affine]:
    """Scalp, bone, fluid, grey and white matter in shells; brain stem and cerebellum in their place."""
    grid = space.Grid((86, 108, 92), np.array([[2.0, 0, 0, -85], [0, 2, 0, -127], [0, 0, 2, -91], [0, 0, 0, 1]]))
    x, y, z = space.apply(grid.affine, np.indices(grid.shape).reshape(3, -1).T.astype(float)).T.reshape(3, *grid.shape)
    radius = np.sqrt((x / 80) ** 2 + ((y + 20) / 100) ** 2 + (z / 85) ** 2)
    shells = [radius > 1, radius > 0.97, radius > 0.93, radius > 0.9, radius > 0.84]
    codes = np.select(shells, [0, 511, 515, 24, 3], 2).astype(np.int16)
    dseg, box = template_case(1.0)
    cerebellum = space.resample_labels(dseg, box, grid, np.eye(4))
    codes[ndimage.binary_dilation(cerebellum > 0, iterations=2) & (radius < 0.93)] = 24
    codes[(x**2 + (y + 26) ** 2 < 10**2) & (z > -70) & (z < -5)] = 16
    half = len(labels.STRUCTURES)
    for code, mask in (
        (8, (cerebellum > 0) & (cerebellum < half)), (7, cerebellum == half),
        (47, (cerebellum > half) & (cerebellum < 2 * half)), (46, cerebellum == 2 * half),
    ):  # fmt: skip
        codes[mask] = code
    return codes, grid.affine
