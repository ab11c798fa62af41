"""An arbor vitae in a cerebellum of two folia."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebatch.building.arbor import grow
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import Grid, LabelMap

GRID = Grid((40, 30, 30), np.diag([0.5, 0.5, 0.5, 1.0]))
V, CORE = 4, 13


@pytest.fixture
def folium() -> LabelMap:
    """A core with a folium of 10 x 4 x 10 mm that stands on it, one for each side."""
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    for side, x in ((0, slice(2, 18)), (13, slice(22, 38))):
        dseg[x, 5:25, 2:8] = CORE + side
        dseg[x, 11:19, 8:28] = V + side
    return dseg


def test_the_core_is_white_and_fissures_are_not(folium: LabelMap) -> None:
    white = grow(folium, GRID)
    assert white[np.isin(folium, (13, 26))].all()
    assert not white[folium == 0].any()


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_each_lobule_gets_its_share(folium: LabelMap, share: float) -> None:
    white = grow(folium, GRID, share)
    for code in (V, V + 13):
        assert white[folium == code].mean() == pytest.approx(share, abs=0.01)


def test_white_matter_hangs_together_with_the_core(folium: LabelMap) -> None:
    white = grow(folium, GRID)
    pieces, count = ndimage.label(white)
    assert count == 2
    assert all((pieces[folium == core] == pieces[folium == core][0]).all() for core in (13, 26))


def test_white_matter_keeps_away_from_the_surface(folium: LabelMap) -> None:
    white = grow(folium, GRID) & (folium == V)
    depth = ndimage.distance_transform_edt(np.isin(folium, (V, CORE)))
    assert depth[white].min() > 1
    assert depth[white].mean() > 1.3 * depth[folium == V].mean()


def test_a_piece_without_a_way_to_the_core_stays_grey(folium: LabelMap) -> None:
    folium[2:18, 26:30, 26:30] = V
    white = grow(folium, GRID)
    assert not white[2:18, 26:30, 26:30].any()


def test_every_lobule_of_the_phantom_has_a_fifth_to_a_third() -> None:
    dseg, grid = template_case(1.0)
    white = grow(dseg, grid)
    shares = {code: white[dseg == code].mean() for code in range(1, 27) if code % 13 and np.sum(dseg == code) > 500}
    assert len(shares) >= 20
    assert all(0.2 < share < 0.3 for share in shares.values())
