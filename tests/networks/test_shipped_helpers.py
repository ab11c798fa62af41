"""The networks beside the ensemble that cerebatch brings: their cards, and what they make of the MNI152 template."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from cerebatch.networks.auxiliary.intracranial import ERROR_SD, measured_icv_cm3
from cerebatch.networks.auxiliary.loading import helper_card, helper_weights, load_helper, register_by
from cerebatch.networks.auxiliary.superres import coarse, interpolated, refined
from cerebatch.networks.auxiliary.t2synth import synthesised_t2w
from cerebatch.networks.card import Helper
from cerebatch.networks.inputs import brain_region
from cerebatch.spatial import template
from cerebatch.spatial.space import Volume, cerebellum_box, resample

HELPERS: tuple[Helper, ...] = get_args(Helper)


@pytest.fixture(scope="module")
def box() -> Volume:
    """The template's T1w in the cerebellum box at 1 mm."""
    t1w, grid = template.t1w(1)
    return resample(t1w, grid, cerebellum_box(1.0), np.eye(4), order=1)


def test_they_stay_together_below_30_mb() -> None:
    paths = {helper_weights(name, None, resolution) for name in HELPERS for resolution in (None, 0.5)}
    assert len(paths) == len(HELPERS) + 1
    assert sum(path.stat().st_size for path in paths) < 30e6


def test_one_of_the_resolution_goes_before() -> None:
    for resolution in (1.0, 0.5):
        assert helper_card(helper_weights("t2synth", None, resolution), "t2synth").resolution_mm == resolution


@pytest.mark.parametrize("name", HELPERS)
def test_every_card_tells_how_its_network_was_measured(name: Helper) -> None:
    card = helper_card(helper_weights(name), name)
    assert card.training["steps"] > 0
    assert "benchmarks/" in card.scores["measured"]


def test_the_error_of_the_intracranial_volume_is_that_of_heads_left_out() -> None:
    assert 0.5 < helper_card(helper_weights("icv"), "icv").scores[ERROR_SD] < 10


def test_the_inside_of_the_templates_skull_is_about_its_brain() -> None:
    t1w, grid = template.t1w(1)
    seen = measured_icv_cm3(load_helper(helper_weights("icv"), "icv"), t1w, grid, np.eye(4))
    assert 0.9 < 1000 * seen / float((t1w > 0).sum()) < 1.15


def test_super_resolution_brings_back_more_than_interpolation_does(box: Volume) -> None:
    halved = coarse(torch.from_numpy(box)[None, None])
    finer = refined(load_helper(helper_weights("superres"), "superres"), halved[0, 0].numpy())
    errors = [float(np.square(one - box).mean()) for one in (finer, interpolated(halved)[0, 0].numpy())]
    assert errors[0] < 0.8 * errors[1]


def test_fluid_is_brighter_than_white_matter_in_a_made_up_t2w(box: Volume) -> None:
    region = brain_region(1.0)
    made = synthesised_t2w(load_helper(helper_weights("t2synth"), "t2synth"), box, region)
    dark, bright = np.quantile(box[region & (box > 0)], (0.1, 0.9))
    fluid, white = made[region & (box > 0) & (box < dark)], made[region & (box > bright)]
    assert float(np.median(fluid)) > 1.3 * float(np.median(white))


def test_a_moved_brain_is_brought_back_some_of_the_way(box: Volume) -> None:
    register = register_by(helper_weights("registration"))
    places = np.indices(box.shape, dtype=np.float32)
    bulge = np.exp(-np.square((places.T - np.array(box.shape) / 2) / 25).sum(axis=-1)).T
    moved = sampled(box, places + 4 * np.array([0, 1, 1]).reshape(3, 1, 1, 1) * bulge)
    (field,) = register(box, [moved], brain_region(1.0), 1.0, 1)
    inside = bulge > 0.5
    across, along, up = field[inside].mean(axis=0)
    assert abs(across) < 0.3
    assert -4 < along < -0.4
    assert -4 < up < -0.4
    back = sampled(moved, places + np.moveaxis(field, -1, 0))
    before, after = (float(np.square(image - box)[inside].mean()) for image in (moved, back))
    assert after < before


def sampled(image: Volume, places: NDArray[np.float32]) -> Volume:
    """An image at voxel positions (3, X, Y, Z)."""
    return np.asarray(map_coordinates(image, places, order=1), dtype=np.float32)
