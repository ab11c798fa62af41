"""The second simulator, on a real lobule map in a real head."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from cerebatch import labels
from cerebatch.simulation.scenes.known_scans import make_known_scan
from cerebatch.simulation.scenes.scanner import Protocol
from cerebatch.spatial import space

HALF = len(labels.STRUCTURES)


@pytest.fixture(scope="module")
def coarse_map(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second voxel of subject 3: an arbor vitae grows in it in seconds."""
    image = nib.load(data / "lobules/subject-3_dseg.nii.gz")
    path = tmp_path_factory.mktemp("coarse") / "subject-3_dseg.nii.gz"
    codes = np.asanyarray(image.dataobj)[::2, ::2, ::2]
    nib.save(nib.Nifti1Image(codes, image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])), path)
    return path


def test_a_real_map_keeps_its_shape_in_a_real_head(data: Path, coarse_map: Path) -> None:
    thick = Protocol(voxel_mm=(3.0, 3.0, 3.0))
    made = make_known_scan(coarse_map, data / "heads/head-13_dseg.nii.gz", seed=1, t1w=thick, t2w=thick)
    turn = made.t1w_from_map[:3, :3]
    np.testing.assert_allclose(turn.T @ turn, made.figures["scale"] ** 2 * np.eye(3), atol=1e-9)
    assert made.figures["dice"] > 0.8
    assert made.figures["over_stem"] < 0.02
    assert made.figures["outside_skull"] < 0.02
    codes: NDArray[np.integer] = np.asanyarray(nib.load(coarse_map).dataobj)
    expected = np.count_nonzero(np.isin(codes, [label.cobralab for label in labels.LABELS])) * 0.6**3
    found = np.count_nonzero(made.lobules) * made.truth_grid.voxel_volume_mm3
    assert found == pytest.approx(expected * made.figures["scale"] ** 3, rel=0.02)
    dseg = space.resample_labels(made.dseg, made.truth_grid, made.t1w_grid, np.eye(4))
    white = np.isin(dseg, (HALF, 2 * HALF))
    cortex = (dseg > 0) & ~white
    assert made.t1w[white].mean() > 1.1 * made.t1w[cortex].mean()
