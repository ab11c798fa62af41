"""Images of a geometry, and what is true of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cerebatch.labels import WHITE_MATTER, mirrored
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.stride import compose, decompose
from cerebatch.training import appearance
from cerebatch.training.appearance import Scene, _vote, drawn_scene, turned
from cerebatch.training.geometry import DEPTH_MM, LABELLED, Geometry, _depth

SHAPE = (64, 48, 40)


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    """Two lobules and their core on the left, one lobule on the right, in fluid, in bone."""
    codes = np.full(SHAPE, TISSUES.index("bone"), dtype=np.uint8)
    codes[4:-4, 4:-4, 4:-4] = TISSUES.index("CSF")
    for label, place in ((5, slice(10, 22)), (6, slice(22, 32)), (18, slice(32, 52))):
        codes[place, 8:40, 8:32] = LABELLED + 2 * label
        codes[place.start + 2 : place.start + 6, 12:36, 12:28] = LABELLED + 2 * label + 1
    codes[26:30, 20:28, 16:24] = LABELLED + 2 * WHITE_MATTER[0]
    votes = np.zeros((3, *(n // 2 for n in SHAPE)), dtype=np.uint8)
    votes[:, 6:14], votes[:2, 14:20], votes[2, 14:20] = 5, 6, 7
    return Geometry(codes, _depth(codes >= LABELLED), votes)


def scene(geometry: Geometry, seed: int) -> Scene:
    torch.manual_seed(seed)
    return drawn_scene(geometry)


def test_the_same_seed_draws_the_same_scene(geometry: Geometry) -> None:
    one, two, other = scene(geometry, 1), scene(geometry, 1), scene(geometry, 2)
    assert np.array_equal(one.t1w, two.t1w)
    assert np.array_equal(one.truth, two.truth)
    assert not np.array_equal(one.t1w, other.t1w)


def test_images_are_coarse_and_the_truth_is_eight_fine_voxels_each(geometry: Geometry) -> None:
    coarse = tuple(n // 2 for n in SHAPE)
    kinds = set()
    for seed in range(12):
        drawn = scene(geometry, seed)
        assert drawn.t1w.shape == coarse
        assert drawn.t1w.dtype == np.float32
        assert np.isfinite(drawn.t1w).all()
        assert drawn.truth.shape == (8, *coarse)
        # The outline is that of the geometry, mirrored or not; what changes is what of it is white.
        outline = geometry.lobules > 0
        found = compose(drawn.truth) > 0
        assert np.array_equal(found, outline) or np.array_equal(found, outline[::-1])
        kinds.add(drawn.t2w is None)
    assert kinds == {True, False}


def test_white_matter_takes_the_code_of_its_side_and_the_core_stays(geometry: Geometry) -> None:
    for seed in range(8):
        truth = compose(scene(geometry, seed).truth)
        lobules = geometry.lobules
        if not np.array_equal(truth > 0, lobules > 0):
            truth = mirrored(np.ascontiguousarray(truth[::-1]))
        white = np.isin(truth, WHITE_MATTER)
        assert np.array_equal(truth[~white], lobules[~white])
        side = np.where(lobules <= WHITE_MATTER[0], WHITE_MATTER[0], WHITE_MATTER[1])
        assert np.array_equal(truth[white], side[white])
        assert (truth[lobules == WHITE_MATTER[0]] == WHITE_MATTER[0]).all()


def test_half_of_the_arbors_are_the_librarys_and_half_are_blind_to_labels(
    geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for blind in (0.0, 1.0):
        monkeypatch.setattr(appearance, "_BLIND", blind)
        truth = compose(scene(geometry, 3).truth)
        if not np.array_equal(truth > 0, geometry.lobules > 0):
            truth = mirrored(np.ascontiguousarray(truth[::-1]))
        folia = np.isin(truth, WHITE_MATTER) & (geometry.lobules != WHITE_MATTER[0])
        if not blind:
            assert np.array_equal(folia, geometry.arbor)
            continue
        # Deep, whatever lobule that is: across the border of two lobules too, where the library's never is.
        assert not np.array_equal(folia, geometry.arbor)
        depth_mm = geometry.depth * DEPTH_MM
        grey = (geometry.lobules > 0) & ~folia & (geometry.lobules != WHITE_MATTER[0])
        assert depth_mm[folia].mean() > depth_mm[grey].mean() + 0.5
        share = folia.sum() / ((geometry.lobules > 0) & (geometry.lobules != WHITE_MATTER[0])).sum()
        assert 0.05 < share < 0.4
        assert folia[20:24, 20:28, 16:24].any()


def test_a_turned_scene_is_the_mirrored_one_and_turned_again_the_same(geometry: Geometry) -> None:
    one = scene(geometry, 5)
    other = turned(one)
    assert np.array_equal(other.t1w, one.t1w[::-1])
    assert np.array_equal(other.truth, decompose(mirrored(np.ascontiguousarray(compose(one.truth)[::-1]))))
    assert one.atlas is not None
    assert other.atlas is not None
    assert np.array_equal(other.atlas, mirrored(np.ascontiguousarray(one.atlas[::-1])))
    back = turned(other)
    assert np.array_equal(back.truth, one.truth)
    assert np.array_equal(back.atlas if back.atlas is not None else 0, one.atlas)


def test_the_atlas_is_what_most_people_say(geometry: Geometry) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        voted = _vote(geometry.votes)
        assert voted is not None
        assert np.array_equal(voted, geometry.votes[0])


def test_of_two_people_one_is_the_atlas_and_of_none_there_is_none(geometry: Geometry) -> None:
    chosen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        voted = _vote(geometry.votes[1:])
        assert voted is not None
        chosen.add(int(voted[14, 0, 0]))
    assert chosen == {6, 7}
    assert _vote(geometry.votes[:0]) is None


def test_where_nobody_agrees_the_atlas_is_one_of_them() -> None:
    votes = np.array([1, 2, 3], dtype=np.uint8)[:, None, None, None]
    voted = _vote(votes)
    assert voted is not None
    assert int(voted[0, 0, 0]) in (1, 2, 3)
