from __future__ import annotations

import numpy as np
import pytest

from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.space import Grid, apply


def test_blocks_keep_means_and_places() -> None:
    image = np.random.default_rng(1).random((8, 9, 6), dtype=np.float32)
    affine = np.diag([-0.5, 0.5, 1.0, 1.0])
    affine[:3, 3] = (10.0, 20.0, 30.0)
    small, grid = reduced(image, Grid(image.shape, affine), 1.0)
    assert small.shape == grid.shape == (4, 4, 6)
    assert small[1, 2, 3] == pytest.approx(image[2:4, 4:6, 3].mean())
    assert grid.voxel_sizes_mm == pytest.approx([1.0, 1.0, 1.0])
    assert apply(grid.affine, np.array([[1.0, 2.0, 3.0]])) == pytest.approx(apply(affine, np.array([[2.5, 4.5, 3.0]])))


def test_coarse_voxels_stay_as_they_are() -> None:
    image = np.ones((4, 4, 4), dtype=np.float32)
    assert reduced(image, Grid(image.shape, np.eye(4)), 1.9)[0] is image
