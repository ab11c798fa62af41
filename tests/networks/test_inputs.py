"""What the networks see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cerebatch.labels import LABELS, STRUCTURES
from cerebatch.networks import inputs
from cerebatch.networks.architectures.blocks import padded

CODES = np.array([0, *(label.index for label in LABELS)], dtype=np.uint8)


def test_classes_of_the_two_networks_give_back_every_label() -> None:
    sides, lobules = inputs.sides_of(CODES), inputs.lobules_of(CODES)
    assert sides.tolist() == [0] + [1] * 13 + [2] * 13
    assert (lobules + len(STRUCTURES) * (sides == 2)).tolist() == CODES.tolist()


def test_the_region_holds_the_brain_and_is_symmetric() -> None:
    region = inputs.brain_region(1.0)
    assert region.shape == (144, 96, 96)
    assert 0.5 < region.mean() < 0.9
    assert np.mean(region != region[::-1]) < 0.01


def test_what_lies_outside_the_region_makes_no_difference() -> None:
    generator = np.random.default_rng(0)
    region = inputs.brain_region(4.0)
    image = generator.random(region.shape, dtype=np.float32)
    with_scalp = np.where(region, image, np.float32(300))
    assert np.array_equal(inputs.image_channel(image, region), inputs.image_channel(with_scalp, region))


def test_an_absent_image_is_a_channel_of_zeros() -> None:
    assert not inputs.image_channel(None, inputs.brain_region(4.0)).any()


def test_the_second_network_sees_images_inside_the_mask_alone_and_the_whole_atlas() -> None:
    image = np.ones((8, 8, 8), dtype=np.float32)
    mask = np.zeros(image.shape, dtype=bool)
    mask[2:5] = True
    atlas = np.full(image.shape, 26, dtype=np.uint8)
    t1w, t2w, votes = inputs.lobules_input(image, 2 * image, atlas, mask)
    assert np.array_equal(t1w, mask)
    assert np.array_equal(t2w, 2 * mask)
    assert np.all(votes == 1)


@given(st.lists(st.tuples(*[st.integers(0, 39)] * 3), min_size=1, max_size=4))
def test_a_crop_holds_its_mask_and_divides_by_8(points: list[tuple[int, int, int]]) -> None:
    mask = np.zeros((40, 40, 40), dtype=bool)
    mask[tuple(np.array(points).T)] = True
    block = inputs.crop_around(mask)
    assert mask[block].sum() == mask.sum()
    assert all(part.start % 8 == 0 and part.stop % 8 == 0 for part in block)
    spread = np.ptp(np.array(points), axis=0) + 1
    assert all(part.stop - part.start <= size + 14 for part, size in zip(block, spread, strict=True))


def test_the_crop_of_a_mirrored_mask_is_mirrored() -> None:
    mask = np.zeros((40, 16, 16), dtype=bool)
    mask[3:17, 2, 2] = True
    there, back = (inputs.crop_around(one)[0] for one in (mask, mask[::-1]))
    assert (back.start, back.stop) == (40 - there.stop, 40 - there.start)


def test_an_empty_mask_gives_the_whole_box() -> None:
    assert inputs.crop_around(np.zeros((16, 8, 8), dtype=bool)) == (slice(0, 16), slice(0, 8), slice(0, 8))


def test_the_coarsest_level_of_a_tiny_image_keeps_three_voxels() -> None:
    image = torch.rand(1, 3, 10, 24, 30)
    larger, crop = padded(image, 8)
    assert larger.shape[2:] == (24, 24, 32)
    assert torch.equal(larger[crop], image)


@pytest.mark.parametrize("resolution", [1.0, 0.5])
def test_boxes_need_no_padding(resolution: float) -> None:
    assert all(n % 16 == 0 for n in inputs.brain_region(resolution).shape)
