"""The second simulator, on a made-up person."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cerebatch import labels
from cerebatch.errors import LabelMapError, StageError
from cerebatch.io.bids import find_cases
from cerebatch.io.labelmaps import read_dseg
from cerebatch.simulation.scenes.known_scans import (
    TRUTH,
    KnownScan,
    make_known_scan,
    scan_scene,
    write_descriptions,
    write_known_scan,
)
from cerebatch.simulation.scenes.scanner import Protocol, resolved
from cerebatch.simulation.scenes.scene import FLUID, GREY, MATERIALS, WHITE, HeadMap, Lobules, Scene, make_scene
from cerebatch.spatial import space

pytestmark = pytest.mark.slow

COARSE = Protocol(voxel_mm=(2.0, 2.0, 2.0))
QUIET = Protocol(voxel_mm=(2.0, 2.0, 2.0), snr=float("inf"), bias=0.0, texture=0.0)
HALF = len(labels.STRUCTURES)


@pytest.fixture(scope="module")
def scene(lobules: Lobules, head: HeadMap) -> Scene:
    return make_scene(lobules, head)


@pytest.fixture(scope="module")
def erased_scene(lobules: Lobules, head: HeadMap) -> Scene:
    return make_scene(lobules, head, erased=True)


@pytest.fixture(scope="module")
def made(scene: Scene) -> KnownScan:
    return scan_scene(scene, name="one", seed=4, t1w=COARSE, t2w=COARSE)


@pytest.fixture(scope="module")
def quiet(scene: Scene) -> KnownScan:
    return scan_scene(scene, name="one", seed=4, t1w=QUIET, t2w=QUIET)


def on(grid: space.Grid, made: KnownScan, dseg: space.LabelMap, grid_from_t1w: space.Affine) -> space.LabelMap:
    """A truth on the grid of a scan."""
    return space.resample_labels(dseg, made.truth_grid, grid, space.inverse(grid_from_t1w))


def test_the_map_is_moved_by_a_rotation_and_one_scale_alone(made: KnownScan) -> None:
    turn = made.t1w_from_map[:3, :3]
    scale = np.cbrt(np.linalg.det(turn))
    assert scale > 0
    np.testing.assert_allclose(turn.T @ turn, scale**2 * np.eye(3), atol=1e-9)
    assert scale == pytest.approx(made.figures["scale"])


def test_the_pose_finds_back_where_the_map_came_from(scene: Scene, map_from_head: space.Affine) -> None:
    found = scene.pose.head_from_map @ map_from_head
    corners = space.apply(scene.grid.affine, np.argwhere(scene.lobules > 0)[::500].astype(float))
    there = space.apply(space.inverse(map_from_head) @ space.inverse(scene.pose.head_from_map), corners)
    assert np.cbrt(np.linalg.det(found[:3, :3])) == pytest.approx(1, abs=0.03)
    assert np.linalg.norm(there - corners, axis=1).mean() < 2.5
    assert scene.pose.dice > 0.85


def test_left_is_on_the_left_and_the_front_at_the_brain_stem(made: KnownScan) -> None:
    centre = {
        label.name: space.apply(made.truth_grid.affine, np.argwhere(made.dseg == label.index).astype(float)).mean(0)
        for label in labels.LABELS
    }
    assert centre["Left Crus I"][0] < centre["Left white matter"][0] < 0 < centre["Right Crus I"][0]
    assert centre["Left Crus I"][1] < centre["Left lobule X"][1]
    assert centre["Left lobule IX"][2] < centre["Left lobule V"][2]


def test_the_truth_keeps_the_volumes_of_the_map_times_the_scale(made: KnownScan, lobules: Lobules) -> None:
    expected = np.bincount(lobules.dseg.ravel(), minlength=27)[1:] * lobules.grid.voxel_volume_mm3
    found = np.bincount(made.lobules.ravel(), minlength=27)[1:] * made.truth_grid.voxel_volume_mm3
    large = expected > 1000
    assert large.sum() >= 20
    np.testing.assert_allclose(found[large], expected[large] * made.figures["scale"] ** 3, rtol=0.03)


def test_the_two_truths_differ_in_the_arbor_vitae_alone(made: KnownScan) -> None:
    differs = made.dseg != made.lobules
    assert np.isin(made.dseg[differs], (HALF, 2 * HALF)).mean() > 0.99
    assert 0.15 < differs.sum() / (made.lobules > 0).sum() < 0.35
    np.testing.assert_array_equal(made.dseg > 0, made.lobules > 0)


def test_an_image_does_not_tell_one_lobule_from_another(scene: Scene) -> None:
    """What is shown are materials, and each has one intensity wherever it lies."""
    assert set(np.unique(scene.inset)) == {0, FLUID + 1, GREY + 1, WHITE + 1}
    assert (scene.inset[(scene.lobules > 0) & (scene.dseg == scene.lobules) & ~np.isin(scene.dseg, (13, 26))]
            == GREY + 1).all()  # fmt: skip
    rng = np.random.default_rng(1)
    signal = rng.uniform(0.2, 2, len(MATERIALS))
    grid = space.Grid((40, 30, 30), np.array([[3.0, 0, 0, -58], [0, 3, 0, -100], [0, 0, 3, -80], [0, 0, 0, 1]]))
    image = resolved(scene, grid, np.eye(4), signal, QUIET)
    by_material = [resolved(scene, grid, np.eye(4), one, QUIET) for one in np.eye(len(MATERIALS))]
    np.testing.assert_allclose(sum(s * one for s, one in zip(signal, by_material, strict=True)), image, atol=1e-4)
    np.testing.assert_allclose(sum(by_material), 1, atol=1e-4)


def test_pure_grey_matter_is_as_bright_in_every_lobule(scene: Scene) -> None:
    fine = Protocol(snr=float("inf"), bias=0.0, texture=0.0)
    grid = space.Grid((120, 96, 96), space.cerebellum_box(1.0).affine @ np.diag([1.0, 1, 1, 1]))
    signal = np.zeros(len(MATERIALS))
    signal[[FLUID, GREY, WHITE]] = (0.2, 0.6, 1.0)
    image = resolved(scene, grid, np.eye(4), signal, fine)
    dseg = space.resample_labels(scene.dseg, scene.grid, grid, np.eye(4))
    grey = (dseg > 0) & ~np.isin(dseg, (HALF, 2 * HALF))
    pure = ndimage.binary_erosion(grey, iterations=2)
    brightness = {code: float(image[pure & (dseg == code)].mean()) for code in np.unique(dseg[pure])}
    assert len(brightness) > 12
    assert max(brightness.values()) - min(brightness.values()) < 0.02
    assert np.median(image[pure]) == pytest.approx(0.6, abs=0.01)


def test_the_truth_lies_on_both_images(made: KnownScan) -> None:
    for image, grid, motion, whiter in (
        (made.t1w, made.t1w_grid, np.eye(4), 1),
        (made.t2w, made.t2w_grid, made.t2w_from_t1w, -1),
    ):
        dseg = on(grid, made, made.dseg, motion)
        white = np.isin(dseg, (HALF, 2 * HALF)).astype(float)
        inside = ndimage.binary_erosion(dseg > 0)

        def agreement(shift: tuple[int, int, int], image=image, white=white, inside=inside, sign=whiter) -> float:
            return sign * float(np.corrcoef(np.roll(image, shift, (0, 1, 2))[inside], white[inside])[0, 1])

        shifts = [(0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
        assert max(shifts, key=agreement) == (0, 0, 0)
        assert agreement((0, 0, 0)) > 0.5


def test_contrasts_are_those_of_the_sequences(quiet: KnownScan) -> None:
    dseg = on(quiet.t1w_grid, quiet, quiet.dseg, np.eye(4))
    core = ndimage.binary_erosion(np.isin(dseg, (HALF, 2 * HALF)))
    cortex = (dseg > 0) & ~np.isin(dseg, (HALF, 2 * HALF))
    assert quiet.t1w[core].mean() == pytest.approx(1, abs=0.1)
    assert quiet.t1w[cortex].mean() < 0.85
    dseg = on(quiet.t2w_grid, quiet, quiet.dseg, quiet.t2w_from_t1w)
    core = ndimage.binary_erosion(np.isin(dseg, (HALF, 2 * HALF)))
    assert np.percentile(quiet.t2w, 99) > 2 * quiet.t2w[core].mean()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_image(scene: Scene, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_known_scan(scan_scene(scene, name="one", seed=4, t1w=COARSE, t2w=COARSE), tmp_path / folder)
    written = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(written) == 9
    for path in written:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path
    other = scan_scene(scene, name="one", seed=5, t1w=COARSE, t2w=COARSE)
    first = nib.load(tmp_path / "a" / "sub-one/anat/sub-one_T1w.nii.gz")
    assert not np.allclose(first.affine, other.t1w_grid.affine)


def test_without_a_t2w_the_t1w_is_the_same(scene: Scene) -> None:
    both = scan_scene(scene, name="one", seed=4, t1w=COARSE, t2w=COARSE)
    alone = scan_scene(scene, name="one", seed=4, t1w=COARSE, t2w=COARSE, with_t2w=False)
    assert set(both.scans) == {"T1w", "T2w"}
    assert set(alone.scans) == {"T1w"}
    np.testing.assert_array_equal(alone.t1w, both.t1w)
    np.testing.assert_array_equal(alone.dseg, both.dseg)


def test_erased_leaves_no_border_inside_and_everything_outside(scene: Scene, erased_scene: Scene) -> None:
    plain = scan_scene(scene, name="one", seed=4, t1w=QUIET, t2w=QUIET)
    erased = scan_scene(erased_scene, name="one", seed=4, t1w=QUIET, t2w=QUIET, erased=True)
    np.testing.assert_array_equal(plain.t1w_from_map, erased.t1w_from_map)
    np.testing.assert_array_equal(plain.dseg, erased.dseg)
    covered, core = (
        space.resample_labels(mask.view(np.uint8), scene.grid, plain.t1w_grid,
                              scene.pose.head_from_map @ space.inverse(plain.t1w_from_map)) > 0
        for mask in (erased_scene.inset > 0, erased_scene.inset == WHITE + 1)
    )  # fmt: skip
    away = ~ndimage.binary_dilation(covered, iterations=8)
    np.testing.assert_allclose(plain.t1w[away], erased.t1w[away], atol=1e-3)
    lobules = ndimage.binary_erosion(covered, iterations=3) & ~ndimage.binary_dilation(core, iterations=3)
    assert lobules.sum() > 200
    assert erased.t1w[lobules].std() < 0.01
    assert plain.t1w[lobules].std() > 0.05


def test_erased_has_the_same_noise_bias_and_texture(scene: Scene, erased_scene: Scene) -> None:
    noise = [scan_scene(one, name="one", seed=4, t1w=COARSE, t2w=COARSE) for one in (scene, erased_scene)]
    away = np.zeros(noise[0].t1w.shape, dtype=bool)
    away[:, :, -25:] = True
    np.testing.assert_array_equal(noise[0].t1w[away], noise[1].t1w[away])
    assert noise[0].t1w[away].std() > 0


def test_noise_is_rician_at_the_given_ratio(scene: Scene) -> None:
    loud = dataclasses.replace(QUIET, snr=10.0)
    image = scan_scene(scene, name="one", seed=4, t1w=loud, t2w=QUIET)
    air = image.t1w[:3]
    assert air.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.03)
    difference = image.t1w - scan_scene(scene, name="one", seed=4, t1w=QUIET, t2w=QUIET).t1w
    white = ndimage.binary_erosion(np.isin(on(image.t1w_grid, image, image.dseg, np.eye(4)), (HALF, 2 * HALF)))
    assert difference[white].std() == pytest.approx(0.1, rel=0.1)


def test_thick_slices_are_coarse_along_the_third_axis_alone(scene: Scene) -> None:
    thick = dataclasses.replace(QUIET, voxel_mm=(2.0, 2.0, 5.0), slice_mm=5.0)
    image = scan_scene(scene, name="one", seed=4, t1w=thick, t2w=QUIET)
    np.testing.assert_allclose(image.t1w_grid.voxel_sizes_mm, (2, 2, 5))
    thin = scan_scene(scene, name="one", seed=4, t1w=dataclasses.replace(thick, slice_mm=1.0), t2w=QUIET)
    steps = [np.abs(np.diff(one.t1w, axis=2)).sum() for one in (image, thin)]
    assert steps[0] < 0.95 * steps[1]


def test_the_scans_are_a_bids_dataset_with_their_truth(made: KnownScan, tmp_path: Path) -> None:
    write_descriptions(tmp_path)
    path = write_known_scan(made, tmp_path)
    cohort = find_cases(tmp_path)
    assert not cohort.problems
    (case,) = cohort.cases
    assert case.t1w == path
    assert case.t2w is not None
    for name, expected in (("lobules", made.dseg), ("lobules_desc-withfolia", made.lobules)):
        dseg, grid = read_dseg(tmp_path / TRUTH / "sub-one/anat" / f"sub-one_seg-{name}_dseg.nii.gz")
        np.testing.assert_array_equal(dseg, expected)
        np.testing.assert_allclose(grid.voxel_sizes_mm, 0.5)
    stored = nib.load(path)
    np.testing.assert_allclose(np.asarray(stored.dataobj), 600 * made.t1w, atol=0.51)


def test_a_head_map_is_refused_as_a_lobule_map_and_the_reverse(lobule_map: Path, head_map: Path) -> None:
    with pytest.raises(LabelMapError, match=rf"{head_map.name}: expected the 26 structures"):
        make_known_scan(head_map, head_map, seed=1)
    with pytest.raises(LabelMapError, match=rf"{lobule_map.name}: expected FreeSurfer codes with a cerebellum"):
        make_known_scan(lobule_map, lobule_map, seed=1)


def test_a_map_with_its_sides_exchanged_is_refused(lobules: Lobules, head: HeadMap) -> None:
    wrong = dataclasses.replace(lobules, dseg=labels.mirrored(lobules.dseg))
    with pytest.raises(StageError, match="maker-1 in round-07: expected a similarity"):
        make_scene(wrong, head)
