"""A region made smaller, with a truth in shares of voxels."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.common.shrinking import Row, compare, neighbours, shrink, slope
from cerebatch.spatial.space import LabelMap, Volume


@pytest.fixture(scope="module")
def regions() -> LabelMap:
    """Region 1 is a ball of 9 voxels in region 2, which fills the box but for a layer of background."""
    found = np.zeros((48, 48, 48), dtype=np.uint8)
    found[2:-2, 2:-2, 2:-2] = 2
    x, y, z = np.indices(found.shape) - 23.5
    found[x**2 + y**2 + z**2 <= 9**2] = 1
    return found


def image(regions: LabelMap) -> Volume:
    return np.where(regions == 1, 200.0, 100.0).astype(np.float32)


@pytest.mark.parametrize("share", [0.95, 0.8])
def test_the_region_keeps_the_share_that_was_asked_for_and_the_neighbour_takes_the_rest(
    regions: LabelMap, share: float
) -> None:
    shrunk = shrink(image(regions), regions, 1, share, 1.0)
    assert shrunk is not None
    assert shrunk.share == pytest.approx(share, abs=1e-3)
    assert shrunk.before[1] == (regions == 1).sum()
    assert shrunk.after[1] == pytest.approx(share * shrunk.before[1], rel=1e-3)
    assert shrunk.after[2] - shrunk.before[2] == pytest.approx(shrunk.before[1] - shrunk.after[1], rel=1e-3)
    assert shrunk.after[0] == shrunk.before[0]
    # The image tells the same: the ball is 100 brighter than all else. (Voxels above 150 would be whole voxels.)
    assert (shrunk.t1w - 100).sum() / 100 == pytest.approx(shrunk.after[1], rel=0.01)


def test_a_change_of_less_than_a_voxel_is_a_change(regions: LabelMap) -> None:
    shrunk = shrink(image(regions), regions, 1, 0.999, 1.0)
    assert shrunk is not None
    assert 0 < shrunk.before[1] - shrunk.after[1] == pytest.approx(0.001 * shrunk.before[1], rel=0.2)


def test_the_image_is_as_it_was_far_from_the_region(regions: LabelMap) -> None:
    noise = np.random.default_rng(1).normal(100, 10, regions.shape).astype(np.float32)
    shrunk = shrink(noise, regions, 1, 0.8, 1.0)
    assert shrunk is not None
    x, y, z = np.indices(regions.shape) - 23.5
    far = np.sqrt(x**2 + y**2 + z**2) > 9 + 10
    np.testing.assert_allclose(shrunk.t1w[far], noise[far], atol=0.5)


def test_a_sheet_of_one_voxel_cannot_be_made_half_as_thick_and_an_absent_region_not_at_all(regions: LabelMap) -> None:
    sheet = np.full((30, 30, 30), 2, dtype=np.uint8)
    sheet[15, 5:25, 5:25] = 1
    assert shrink(image(sheet), sheet, 1, 0.2, 1.0) is None
    assert shrink(image(regions), regions, 7, 0.8, 1.0) is None


def test_a_method_that_follows_has_slope_one_and_leaks_nothing(regions: LabelMap) -> None:
    rows = []
    for share in (0.95, 0.9, 0.8):
        shrunk = shrink(image(regions), regions, 1, share, 1.0)
        assert shrunk is not None
        # A method with 5% more of the one and 10% less of the other than the truth, that follows both.
        bias = np.ones(256)
        bias[1], bias[2] = 1.05, 0.9
        row = compare(shrunk, regions, 1, bias * shrunk.before, bias * shrunk.after)
        assert row is not None
        assert row.measured == pytest.approx(row.true)
        assert row.leakage == pytest.approx(0, abs=1e-9)
        rows.append(row)
    assert slope(rows) == pytest.approx(1)


def test_a_method_that_knows_beforehand_has_slope_zero_and_half_followed_is_half(regions: LabelMap) -> None:
    shrunk = shrink(image(regions), regions, 1, 0.8, 1.0)
    assert shrunk is not None
    still = compare(shrunk, regions, 1, shrunk.before, shrunk.before)
    half = compare(shrunk, regions, 1, shrunk.before, (shrunk.before + shrunk.after) / 2)
    assert still is not None
    assert half is not None
    assert slope([still]) == 0
    # What the neighbour did not take, over what the region should have lost.
    assert still.leakage == pytest.approx(1, rel=0.01)
    assert slope([half]) == pytest.approx(0.5)


def test_rows_of_hardly_any_change_are_left_out(regions: LabelMap) -> None:
    shrunk = shrink(image(regions), regions, 1, 0.99, 1.0)
    assert shrunk is not None
    assert compare(shrunk, regions, 1, shrunk.before, shrunk.after) is None


def test_the_slope_weighs_large_changes_more() -> None:
    rows = [Row(-0.2, -0.2, 0.0), Row(-0.05, 0.0, 0.0)]
    assert slope(rows) == pytest.approx(0.04 / (0.04 + 0.0025))


def test_neighbours_touch(regions: LabelMap) -> None:
    assert neighbours(regions, 1) == [2]
    assert neighbours(regions, 2) == [1]
