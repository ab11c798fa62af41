"""Placing one published lobule map on the template."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from cerebatch import labels
from cerebatch.building import place
from cerebatch.errors import InputError, LabelMapError, UnreadableScanError
from cerebatch.spatial import space

GRID = space.Grid((40, 40, 40), np.diag([2.0, 2.0, 2.0, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, -39.0]))
"""A small grid in millimetres, symmetric about the origin."""


def twenty_balls(shift_mm: NDArray[np.float64] | tuple[float, float, float] = (0, 0, 0)) -> space.LabelMap:
    """All shared structures as balls of 6 mm on a lattice, left ones at negative x."""
    points = space.apply(GRID.affine, np.indices(GRID.shape).reshape(3, -1).T.astype(np.float64))
    dseg = np.zeros(len(points), dtype=np.uint8)
    for code in range(1, 21):
        number, side = (code - 1) % 10, -1 if code <= 10 else 1
        centre = np.array([side * (10 + 14 * (number % 2)), -24 + 12 * (number // 2), 8 * (number % 3) - 8])
        dseg[np.linalg.norm(points - centre - shift_mm, axis=1) < 6] = code
    return dseg.reshape(GRID.shape)


def save(path: Path, array: NDArray[np.generic]) -> Path:
    nib.save(nib.Nifti1Image(array, GRID.affine), path)
    return path


def suit_like() -> NDArray[np.uint8]:
    """An image that holds every SUIT code."""
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    dseg.ravel()[:34] = np.arange(1, 35)
    return dseg


def cobralab_like() -> NDArray[np.uint8]:
    """An image that holds every code of the lobule maps."""
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    dseg.ravel()[:26] = [label.cobralab for label in labels.LABELS]
    return dseg


def test_fit_affine_recovers_a_known_affine() -> None:
    rng = np.random.default_rng(1)
    truth = np.eye(4)
    truth[:3] = [[1.1, 0.1, -0.05, 4.0], [-0.08, 0.9, 0.2, -60.0], [0.03, -0.1, 1.2, -35.0]]
    points = rng.uniform(-50, 50, (20, 3))
    fitted = place.fit_affine(points, space.apply(truth, points), rng.uniform(1, 9, 20))
    np.testing.assert_allclose(fitted, truth, atol=1e-10)


def test_fit_affine_follows_the_heavier_points() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    target = corners.copy()
    target[4, 0] = 1.0
    fitted = place.fit_affine(corners, target, np.array([3.0, 1, 1, 1, 1]))
    assert fitted[0, 3] == pytest.approx(0.25)


def test_centroids_are_in_millimetres_of_the_frame() -> None:
    balls = twenty_balls()
    centres, volumes = place.centroids(balls, GRID, 20)
    assert centres.shape == (20, 3)
    np.testing.assert_allclose(centres[0], [-10, -24, -8], atol=0.6)
    np.testing.assert_allclose(volumes, [8.0 * np.count_nonzero(balls == code) for code in range(1, 21)])


def test_overlap_affine_recovers_a_shift() -> None:
    shift = np.array([2.0, -2.0, 2.0])
    found = place.overlap_affine(twenty_balls(shift), twenty_balls(), GRID, 20)
    corners = GRID.corners_mm() / 2
    np.testing.assert_allclose(space.apply(found, corners), corners - shift, atol=0.3)


def test_suit_vermis_goes_to_the_lobule_of_its_side() -> None:
    grid = space.Grid((2, 1, 1), np.array([[2.0, 0, 0, -1], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    names = ["background", *place.SHARED, "white matter"]
    for code, left, right in [
        (6, "left VI", "right VI"),
        (27, "left X", "right X"),
        (1, "left I-IV", "left I-IV"),
        (2, "right I-IV", "right I-IV"),
        (3, "left V", "left V"),
        (4, "right V", "right V"),
        (13, "right Crus II", "right Crus II"),
        (30, "white matter", "white matter"),
    ]:
        merged = place.merge_suit(np.full((2, 1, 1), code, dtype=np.uint8), grid).ravel()
        assert [names[i] for i in merged] == [left, right], code


def test_the_anterior_lobules_of_the_maps_become_one_structure() -> None:
    codes = {label.abbreviation: label.index for label in labels.LABELS}
    wanted = {"L_I_II": 1, "L_III": 1, "L_IV": 1, "L_V": 2, "R_IV": 11, "R_X": 20, "L_WM": place.WHITE_MATTER}
    merged = place.merge_cobralab(np.array([codes[name] for name in wanted], dtype=np.uint8).reshape(-1, 1, 1))
    assert merged.ravel().tolist() == list(wanted.values())


def test_closing_fills_a_fissure_with_the_nearest_label() -> None:
    dseg = np.zeros((20, 20, 20), dtype=np.uint8)
    dseg[:9], dseg[11:] = 4, 5
    closed = place.close_fissures(dseg, space.Grid((20, 20, 20), np.eye(4)))
    assert closed[9, 10, 10] == 4
    assert closed[10, 10, 10] == 5
    np.testing.assert_array_equal(closed[dseg > 0], dseg[dseg > 0])


def test_a_map_in_other_codes_is_refused(tmp_path: Path) -> None:
    freesurfer = np.full(GRID.shape, 8, dtype=np.uint8)
    freesurfer[:20] = 47
    path = save(tmp_path / "freesurfer.nii.gz", freesurfer)
    suit = save(tmp_path / "suit.nii.gz", suit_like())
    with pytest.raises(LabelMapError, match=r"freesurfer\.nii\.gz.*missing: left I-IV.*47: "):
        place.place(path, suit, suit, 1.0)


def test_a_map_with_fractions_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "blurred.nii.gz", np.full(GRID.shape, 0.5, dtype=np.float32))
    with pytest.raises(LabelMapError, match="whole numbers"):
        place.place(path, path, path, 1.0)


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelMapError, match=r"nowhere\.nii\.gz"):
        place.place(tmp_path / "nowhere.nii.gz", tmp_path, tmp_path, 1.0)


def test_another_parcellation_than_suit_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "map.nii.gz", cobralab_like())
    with pytest.raises(LabelMapError, match=r"expected SUIT codes.*unknown \[101"):
        place.place(path, path, path, 1.0)


def test_a_t1w_that_is_no_image_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "map.nii.gz", cobralab_like())
    suit = save(tmp_path / "suit.nii.gz", suit_like())
    text = tmp_path / "t1w.nii.gz"
    text.write_text("not an image")
    with pytest.raises(UnreadableScanError, match=r"t1w\.nii\.gz"):
        place.place(path, suit, text, 1.0)


def test_a_mirrored_map_is_refused() -> None:
    with pytest.raises(LabelMapError, match="mirrored"):
        place._require_plausible(Path("map.nii.gz"), np.diag([-1.0, 1.0, 1.0, 1.0]))


def test_a_label_outside_the_box_is_refused_with_its_share() -> None:
    dseg = np.zeros(GRID.shape, dtype=np.uint8)
    dseg[20, 20, [0, 10, 15, 20]] = 3
    mni_from_map = np.eye(4)
    mni_from_map[:3, 3] = [0, -60, -46]  # the lowest label then lies 1 mm below the box
    with pytest.raises(LabelMapError, match=r"25 % of them outside, up to 1\.0 mm"):
        place._require_inside(Path("map.nii.gz"), dseg, GRID, mni_from_map)
    dseg[20, 20, 0] = 0
    assert place._require_inside(Path("map.nii.gz"), dseg, GRID, mni_from_map) == pytest.approx(19)


def test_a_case_is_written_with_its_space_and_sources(tmp_path: Path) -> None:
    grid = space.cerebellum_box(4.0)
    dseg = np.arange(np.prod(grid.shape)).reshape(grid.shape).astype(np.uint8) % 27
    case = place.PlacedCase(dseg, grid, np.eye(4), {213: 36}, {"left VI": 0.75}, 4.2, ("map", "suit", "t1w"))
    place.write_case(case, tmp_path / "new" / "case_dseg.nii.gz")
    image = nib.load(tmp_path / "new" / "case_dseg.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), dseg)
    np.testing.assert_array_equal(image.affine, grid.affine)
    assert (image.header["sform_code"], image.header["qform_code"], image.get_data_dtype()) == (4, 4, np.uint8)
    sidecar = json.loads((tmp_path / "new" / "case_dseg.json").read_text())
    assert sidecar["Sources"] == ["map", "suit", "t1w"]
    assert sidecar["DroppedCodes"] == {"213": 36}
    assert "CC BY-NC-SA 4.0" in sidecar["License"]


def test_a_case_needs_a_nifti_name(tmp_path: Path) -> None:
    grid = space.cerebellum_box(4.0)
    case = place.PlacedCase(np.zeros(grid.shape, np.uint8), grid, np.eye(4), {}, {}, 0.0, ("", "", ""))
    with pytest.raises(InputError, match=r"\.nii\.gz"):
        place.write_case(case, tmp_path / "case.mgz")


def test_a_published_map_comes_to_lie_on_suit(data: Path) -> None:
    case = place.place(
        data / "lobules" / "subject-2_dseg.nii.gz",
        data / "atlas" / "suit_space-MNI152NLin6Asym_dseg.nii.gz",
        data / "atlas" / "cerebellum_space-MNI152NLin6Asym_T1w.nii.gz",
        1.0,
    )
    assert case.dseg.shape == case.grid.shape == (144, 96, 96)
    assert case.dropped == {}
    assert case.margin_mm > 2
    assert case.agreement["cerebellum"] > 0.87
    assert np.mean([case.agreement[name] for name in place.SHARED]) > 0.68
    assert min(case.agreement[name] for name in place.SHARED) > 0.5
    assert set(np.unique(case.dseg)) == set(range(27))

    x_mm = space.apply(case.grid.affine, np.argwhere(case.dseg).astype(np.float64))[:, 0]
    is_left = case.dseg[case.dseg > 0] <= 13
    assert (x_mm[is_left] < 2).mean() > 0.99
    assert (x_mm[~is_left] > -2).mean() > 0.99
