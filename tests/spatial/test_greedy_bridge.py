"""Deformable registration on one grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebatch.errors import StageError
from cerebatch.spatial import greedy_bridge
from cerebatch.spatial.greedy_bridge import GreedySchedule
from cerebatch.spatial.space import Volume

NCC = GreedySchedule("NCC", iterations=(40, 20), smoothing_mm=(2.0, 0.5))
SSD = GreedySchedule("SSD", iterations=(40, 20), smoothing_mm=(2.0, 0.5))
SHIFT = (2.0, -1.0, 3.0)


def blobs(shift: tuple[float, float, float] = (0, 0, 0)) -> Volume:
    """A smooth pattern without symmetry, 40 x 44 x 48."""
    rng = np.random.default_rng(4)
    pattern = ndimage.gaussian_filter(rng.normal(size=(40, 44, 48)), 3.0)
    window = ndimage.gaussian_filter(np.pad(np.ones((24, 28, 32)), 8), 2.0)
    return ndimage.shift(100 + 1000 * pattern * window, shift, order=3, mode="nearest").astype(np.float32)


@pytest.mark.parametrize("schedule", [NCC, SSD], ids=["NCC", "SSD"])
@pytest.mark.parametrize("voxel_mm", [1.0, 0.5])
def test_a_shift_is_found_in_voxels_along_the_axes_of_the_array(schedule: GreedySchedule, voxel_mm: float) -> None:
    field = greedy_bridge.register([blobs()], [blobs(SHIFT)], schedule, voxel_mm=voxel_mm)
    assert field.shape == (40, 44, 48, 3)
    middle = field[14:26, 16:28, 18:30].reshape(-1, 3)
    np.testing.assert_allclose(np.median(middle, axis=0), SHIFT, atol=0.35)


def test_the_field_repeats_to_the_byte_whatever_the_threads() -> None:
    fields = [
        greedy_bridge.register([blobs()], [blobs(SHIFT)], NCC, voxel_mm=1.0, threads=threads) for threads in (1, 1, 2)
    ]
    np.testing.assert_array_equal(fields[0], fields[1])
    np.testing.assert_array_equal(fields[0], fields[2])


def test_flat_images_give_a_finite_field() -> None:
    flat = np.full((24, 24, 24), 7, dtype=np.float32)
    assert np.isfinite(greedy_bridge.register([flat], [flat], NCC, voxel_mm=1.0)).all()


def test_channels_that_do_not_match_are_refused() -> None:
    with pytest.raises((ValueError, StageError)):
        greedy_bridge.register([blobs()], [blobs(), blobs()], NCC, voxel_mm=1.0)
