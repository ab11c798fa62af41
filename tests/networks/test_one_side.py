"""What the second network sees of one side."""

from __future__ import annotations

import numpy as np
import pytest

from cerebatch.labels import LABELS, STRUCTURES
from cerebatch.networks.one_side import one_hot, seen_mask, side_input, whole_input
from cerebatch.spatial.space import Volume

BOX = (40, 32, 24)
HALF = len(STRUCTURES)


def images() -> tuple[Volume, Volume]:
    """Two images of noise about 0."""
    generator = np.random.default_rng(1)
    t1w, t2w = (generator.standard_normal(BOX, dtype=np.float32) for _ in range(2))
    return t1w, t2w


def test_a_mask_grows_by_two_voxels_and_its_fissures_are_closed() -> None:
    side = np.zeros(BOX, dtype=bool)
    side[10:20, 10:20, 8:16] = True
    side[14:17, 10:20, 8:16] = False  # a fissure of three voxels
    expected = np.zeros(BOX, dtype=bool)
    expected[8:22, 8:22, 6:18] = True
    assert np.array_equal(seen_mask(side), expected)


def test_a_gap_wider_than_the_closing_is_narrowed_and_stays() -> None:
    side = np.zeros(BOX, dtype=bool)
    side[4:10, 8:24, 6:18] = side[20:30, 8:24, 6:18] = True
    seen = seen_mask(side)
    assert not seen[12:18].any()
    assert seen[11, 10, 10]
    assert seen[18, 10, 10]


def test_a_mask_at_the_edge_of_the_box_keeps_to_it_and_the_mirrored_mask_is_the_mirrored() -> None:
    side = np.random.default_rng(2).random(BOX) > 0.97
    side[:12] = True
    assert seen_mask(side)[0].all()
    assert np.array_equal(seen_mask(side[::-1]), seen_mask(side)[::-1])
    assert not seen_mask(np.zeros(BOX, dtype=bool)).any()


def test_outside_the_mask_an_image_is_as_dark_as_its_darkest_voxel() -> None:
    t1w, t2w = images()
    mask = np.zeros(BOX, dtype=bool)
    mask[9:15, 10:20, 8:16] = True
    seen, block = side_input(t1w, t2w, None, mask)
    assert block == (slice(8, 16), slice(8, 24), slice(8, 16))
    inside = mask[block]
    for channel, image in zip(seen, (t1w, t2w), strict=False):
        assert np.array_equal(channel[inside], image[block][inside])
        # Of the whole image, not of the block alone.
        assert (channel[~inside] == image.min()).all()
    assert not seen[2:].any()


def test_an_absent_image_is_zero_throughout() -> None:
    t1w, _ = images()
    mask = np.zeros(BOX, dtype=bool)
    mask[9:15, 10:20, 8:16] = True
    seen, _ = side_input(t1w, np.zeros_like(t1w), None, mask)
    assert not seen[1].any()


def test_the_atlas_is_one_channel_a_class_and_of_the_left_side_alone() -> None:
    t1w, t2w = images()
    atlas = np.random.default_rng(3).integers(0, len(LABELS) + 1, BOX, dtype=np.uint8)
    seen, block = side_input(t1w, t2w, atlas, np.ones(BOX, dtype=bool))
    assert seen.shape == (2 + HALF + 1, *BOX)
    assert seen.dtype == np.float32
    left = np.where(atlas <= HALF, atlas, 0)[block]
    assert np.array_equal(seen[2:].argmax(axis=0), left)
    assert np.array_equal(seen[2:].sum(axis=0), np.ones(BOX))


def test_the_first_network_sees_background_left_and_right_of_the_atlas() -> None:
    t1w, t2w = images()
    atlas = np.zeros(BOX, dtype=np.uint8)
    atlas[5], atlas[6], atlas[7] = 1, HALF, HALF + 1
    seen = whole_input(t1w, t2w, atlas)
    assert seen.shape == (5, *BOX)
    assert np.array_equal(seen[:2], np.stack([t1w, t2w]))
    for x, side in ((4, 0), (5, 1), (6, 1), (7, 2)):
        assert seen[2:, x, 0, 0].tolist() == [float(k == side) for k in range(3)]
    assert not whole_input(t1w, t2w, None)[2:].any()


@pytest.mark.parametrize("classes", [3, 14])
def test_no_atlas_is_zeros_in_every_channel(classes: int) -> None:
    assert one_hot(None, classes, BOX).shape == (classes, *BOX)
    assert not one_hot(None, classes, BOX).any()
