"""The four arms of a scene, on a made-up person."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cerebatch.labels import WHITE_MATTER
from cerebatch.simulation.scenes.arms import ARMS, Arm, arm_scene, of_arm
from cerebatch.simulation.scenes.known_scans import scan_scene
from cerebatch.simulation.scenes.scanner import Protocol
from cerebatch.simulation.scenes.scene import FLUID, GREY, WHITE, HeadMap, Lobules, Scene, make_scene

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scenes(lobules: Lobules, head: HeadMap) -> dict[Arm, Scene]:
    first = arm_scene(lobules, head, "labels")
    return {"labels": first} | {arm: arm_scene(lobules, head, arm, pose=first.pose) for arm in ARMS[1:]}


def test_the_arm_of_the_labels_is_the_scene_as_it_was(
    scenes: dict[Arm, Scene], lobules: Lobules, head: HeadMap
) -> None:
    scene = make_scene(lobules, head)
    # Found anew, it is the same pose.
    assert np.array_equal(scene.pose.head_from_map, scenes["labels"].pose.head_from_map)
    assert np.array_equal(scenes["labels"].inset, scene.inset)
    assert np.array_equal(scenes["labels"].dseg, scene.dseg)


def test_pose_and_parent_lobules_are_equal_in_all_arms(scenes: dict[Arm, Scene]) -> None:
    for scene in scenes.values():
        assert np.array_equal(scene.lobules, scenes["labels"].lobules)
        assert scene.figures == scenes["labels"].figures


def test_white_matter_of_the_truth_is_what_the_image_shows_as_white(scenes: dict[Arm, Scene]) -> None:
    for scene in scenes.values():
        labelled = scene.lobules > 0
        assert np.array_equal((scene.inset == WHITE + 1) & labelled, np.isin(scene.dseg, WHITE_MATTER) & labelled)


def test_without_arbor_only_the_core_is_white(scenes: dict[Arm, Scene]) -> None:
    scene = scenes["none"]
    assert np.array_equal(scene.dseg, scene.lobules)


def test_filled_shows_grey_where_blind_shows_fluid_and_nothing_else_differs(scenes: dict[Arm, Scene]) -> None:
    blind, filled = scenes["blind"], scenes["filled"]
    differs = blind.inset != filled.inset
    # The phantom's fissures are few; the published maps have tens of cm3 of them.
    assert differs.sum() > 100
    assert (blind.inset[differs] == FLUID + 1).all()
    assert (filled.inset[differs] == GREY + 1).all()
    assert not (filled.inset == FLUID + 1).any()
    assert np.array_equal(blind.dseg, filled.dseg)


def test_the_blind_arbor_has_the_share_of_the_other_and_does_not_know_a_label(lobules: Lobules) -> None:
    blind = of_arm(lobules, "blind")
    lobule = (lobules.dseg > 0) & ~np.isin(lobules.dseg, WHITE_MATTER)
    assert (blind.white & lobule).sum() == pytest.approx((lobules.white & lobule).sum(), rel=0.01)
    assert blind.white[np.isin(lobules.dseg, WHITE_MATTER)].all()
    # The same body under other names grows the same arbor.
    renamed = lobules.dseg.copy()
    renamed[lobule] = 5
    other = of_arm(Lobules("renamed", renamed, lobules.white, lobules.outline, lobules.grid), "blind")
    assert np.array_equal(other.white, blind.white)
    # It stands on borders between lobules that touch; that of the labels stays away from them.
    border = lobule & (_largest_of_neighbours(lobules.dseg, lobule) != lobules.dseg)
    assert lobules.white[border].mean() < 0.5 * blind.white[border].mean()


def test_the_thickness_varies_and_a_seed_gives_the_same(lobules: Lobules) -> None:
    one, again, other = (of_arm(lobules, "blind", seed).white for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert (one != other).any()
    depth = ndimage.distance_transform_edt(lobules.dseg > 0, sampling=lobules.grid.voxel_sizes_mm)
    lobule = (lobules.dseg > 0) & ~np.isin(lobules.dseg, WHITE_MATTER)
    # Were there one thickness, no grey voxel would be deeper than a white one.
    assert depth[lobule & ~one].max() > 1.3 * depth[lobule & one].min()


def test_scans_of_two_arms_differ_inside_the_outline_alone(scenes: dict[Arm, Scene]) -> None:
    protocol = Protocol(voxel_mm=(3.0, 3.0, 3.0))
    one, other = (
        scan_scene(scenes[arm], name="one", seed=4, t1w=protocol, with_t2w=False) for arm in ("blind", "filled")
    )
    assert one.t1w_grid.shape == other.t1w_grid.shape
    assert np.array_equal(one.t1w_grid.affine, other.t1w_grid.affine)
    assert np.array_equal(one.lobules, other.lobules)
    changed = one.t1w != other.t1w
    centre = np.array(ndimage.center_of_mass(np.abs(one.t1w - other.t1w)))
    far = np.linalg.norm(np.indices(one.t1w.shape) - centre[:, None, None, None], axis=0) * 3 > 80
    assert changed.any()
    assert np.abs(one.t1w - other.t1w)[far].max() < 0.05 * np.abs(one.t1w - other.t1w).max()


def _largest_of_neighbours(dseg: np.ndarray, lobule: np.ndarray) -> np.ndarray:
    """Greatest code of a lobule among a voxel and its six neighbours."""
    cross = ndimage.generate_binary_structure(3, 1)
    return ndimage.maximum_filter(np.where(lobule, dseg, 0), footprint=cross)
