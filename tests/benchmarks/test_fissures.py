"""The measure of borders: dark fissures found, moved borders told from them."""

import numpy as np

from benchmarks.common.fissures import borders, fissure_contrast
from cerebatch.labels import LABELS

CRUS_I, CRUS_II = (next(one.index for one in LABELS if one.name == f"Left Crus {number}") for number in ("I", "II"))
WHITE = next(one.index for one in LABELS if one.name == "Left white matter")


def scene(border: int) -> tuple[np.ndarray, np.ndarray]:
    """Two lobules that meet at x = `border`; the T1w has its fissure at x = 20 and noise."""
    dseg = np.zeros((40, 24, 24), dtype=np.uint8)
    dseg[4:border, 4:20, 4:20] = CRUS_I
    dseg[border:36, 4:20, 4:20] = CRUS_II
    t1w = np.random.default_rng(1).normal(0, 0.1, dseg.shape).astype(np.float32) + (dseg > 0)
    t1w[19:21] -= 0.5
    return t1w, dseg


def test_a_border_in_the_fissure_is_darker_than_one_beside_it() -> None:
    assert fissure_contrast(*scene(20), 1.0) > 1.0
    assert fissure_contrast(*scene(25), 1.0) < 0.1


def test_the_outer_surface_and_white_matter_are_no_borders() -> None:
    _, dseg = scene(20)
    dseg[20:36] = WHITE * (dseg[20:36] > 0)
    lobule = (dseg > 0) & (dseg != WHITE)
    assert not borders(dseg, lobule).any()
    assert np.isnan(fissure_contrast(np.ones(dseg.shape, np.float32), dseg, 1.0))


def test_both_sides_of_a_border_are_found() -> None:
    _, dseg = scene(20)
    found = borders(dseg, dseg > 0)
    assert sorted(set(np.argwhere(found)[:, 0])) == [19, 20]
    assert found.sum() == 2 * 16 * 16


def test_the_distance_is_in_mm() -> None:
    t1w, dseg = scene(20)
    fine = (
        np.repeat(np.repeat(np.repeat(t1w, 2, 0), 2, 1), 2, 2),
        np.repeat(np.repeat(np.repeat(dseg, 2, 0), 2, 1), 2, 2),
    )
    assert np.isclose(fissure_contrast(*fine, 0.5), fissure_contrast(t1w, dseg, 1.0), rtol=0.2)
