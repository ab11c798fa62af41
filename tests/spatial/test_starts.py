from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cerebatch.spatial import template
from cerebatch.spatial.coarse import coarsened
from cerebatch.spatial.space import Affine, Grid, Volume, apply, inverse, resample
from cerebatch.spatial.starts import VOXEL_MM, starts


def posed(scale: float, degrees: tuple[float, float, float]) -> Affine:
    """MNI millimetres -> native ones of a head of that size, turned and far from the origin."""
    native_from_mni = np.eye(4)
    native_from_mni[:3, :3] = scale * Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    native_from_mni[:3, 3] = (30.0, -50.0, 90.0)
    return native_from_mni


def above_a_neck(native_from_mni: Affine) -> tuple[Volume, Grid]:
    """The template at the top of a field of view that is twice as high, something bright below it."""
    image, grid = template.t1w(4)
    brain = Grid((64, 64, 96), np.array([[4.0, 0, 0, -98], [0, 4, 0, -170], [0, 0, 4, -130], [0, 0, 0, 1]]))
    brain.affine[:3, 3] += native_from_mni[:3, 3]
    brain.affine[2, 3] -= 150.0
    seen = resample(image, grid, brain, inverse(native_from_mni), order=1)
    seen[20:44, 20:44, :34] = image.max() / 2
    return coarsened(seen, brain, VOXEL_MM)


@pytest.mark.parametrize(
    ("scale", "degrees"), [(0.9, (0.0, 0.0, 0.0)), (0.62, (30.0, 8.0, 10.0)), (0.8, (-35.0, 0.0, -20.0))]
)
def test_a_head_above_a_neck_is_among_the_first_places_whatever_its_size(
    scale: float, degrees: tuple[float, float, float]
) -> None:
    native_from_mni = posed(scale, degrees)
    points = np.array([(0.0, -60.0, -30.0), (40.0, 20.0, 30.0), (-40.0, 20.0, 30.0), (0.0, 0.0, 0.0)])
    true = apply(native_from_mni, points)
    found = starts(*above_a_neck(native_from_mni), 2)
    off = [np.linalg.norm(apply(start.native_from_mni, points) - true, axis=1).mean() for start in found]
    assert min(off) < 18.0


def test_the_places_are_apart_and_in_order() -> None:
    found = starts(*above_a_neck(posed(0.9, (0.0, 0.0, 0.0))), 3)
    correlations = [start.correlation for start in found]
    assert correlations == sorted(correlations, reverse=True)
    origins = [start.native_from_mni[:3, 3] for start in found]
    assert len({tuple(np.round(origin)) for origin in origins}) == 3
