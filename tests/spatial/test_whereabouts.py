from __future__ import annotations

import numpy as np
import pytest

from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.space import Grid, apply
from cerebatch.spatial.whereabouts import Whereabouts, fitted_affine

TRUE = np.array([[0.9, 0.1, 0.0, 5.0], [-0.1, 1.1, 0.2, -20.0], [0.0, -0.2, 1.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


def test_points_tell_the_affine_although_a_fifth_of_them_are_wrong() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-80, 80, (500, 3))
    places = apply(TRUE, points) + rng.normal(0, 1, points.shape)
    places[:100] += 60
    found, error_mm = fitted_affine(points, places)
    assert np.linalg.norm(apply(found, points) - apply(TRUE, points), axis=1).max() < 2.0
    assert error_mm < 3.0


def test_a_handful_of_points_tells_nothing() -> None:
    points = np.random.default_rng(1).uniform(-80, 80, (20, 3))
    assert fitted_affine(points, points)[1] == float("inf")


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


def turned(degrees: float) -> Whereabouts:
    """A head that is turned to its side."""
    angle = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Whereabouts(affine, error_mm=4.0, cavity_cm3=1300.0)


def test_a_head_on_its_side_is_taken_and_one_on_its_top_is_told() -> None:
    assert turned(80.0).fault() == ""
    assert "180 degrees against its header" in turned(180.0).fault()
    assert "left and right are exchanged" in turned(180.0).fault()


def test_what_holds_no_brain_is_told() -> None:
    assert "whole brain" in Whereabouts(np.eye(4), error_mm=4.0, cavity_cm3=120.0).fault()
    assert "whole brain" in Whereabouts(np.eye(4), error_mm=40.0, cavity_cm3=1300.0).fault()
