"""Scores of maps whose differences are known."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch import labels
from cerebatch.errors import LabelMapError
from cerebatch.evaluation.scores import MEANS, WHOLE, Score, regions, score, score_files
from cerebatch.measures.overlap import dice, hausdorff95_mm
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial import space


def saved(path: Path, dseg: space.LabelMap, affine: space.Affine) -> Path:
    nib.save(nib.Nifti1Image(dseg, affine), path)
    return path


def scored(predicted: space.LabelMap, truth: space.LabelMap, grid: space.Grid) -> dict[str, Score]:
    volumes = [np.bincount(dseg.ravel(), minlength=27) * grid.voxel_volume_mm3 / 1000 for dseg in (predicted, truth)]
    return {each.region: each for each in score(predicted, truth, grid, *volumes)}


@pytest.fixture(scope="module")
def case() -> tuple[space.LabelMap, space.Grid]:
    return template_case(2.0)


def test_every_structure_is_in_one_lobe_of_its_side_and_in_the_whole() -> None:
    found = {region.name: region for region in regions()}
    assert len(found) == 26 + 12 + 3
    assert sorted(found[WHOLE].codes) == list(range(1, 27))
    lobes = [region for region in found.values() if region.kind == "lobe" and region.name.startswith(("left", "right"))]
    assert sorted(code for lobe in lobes for code in lobe.codes) == sorted(set(range(1, 27)) - {13, 26})
    assert found["left flocculonodular lobe"].codes == (12,)


def test_a_map_agrees_with_itself(case: tuple[space.LabelMap, space.Grid]) -> None:
    found = scored(case[0], case[0], case[1])
    assert {each.dice for each in found.values()} == {1.0}
    assert {each.hausdorff95_mm for each in found.values()} == {0.0}
    assert all(each.difference_cm3 == 0 for each in found.values() if each.kind != "mean")


def test_a_cut_block_scores_as_the_whole_grid_does(case: tuple[space.LabelMap, space.Grid]) -> None:
    truth, grid = case
    moved = np.roll(truth, 2, axis=1)
    found = scored(moved, truth, grid)
    for name, code in (("Left Crus I", 6), ("Right lobule X", 25)):
        one, other = moved == code, truth == code
        assert found[name].dice == dice(one, other)
        assert found[name].hausdorff95_mm == pytest.approx(hausdorff95_mm(one, other, grid))
    assert found[WHOLE].hausdorff95_mm <= 4.0


def test_the_whole_does_not_ask_which_structure(case: tuple[space.LabelMap, space.Grid]) -> None:
    truth, grid = case
    found = scored(labels.mirrored(truth), truth, grid)
    assert found[WHOLE].dice == 1
    assert found["left cerebellum"].dice == 0
    assert found[MEANS[0]].dice == 0


def test_a_structure_that_is_missing_scores_zero_and_has_no_distance(case: tuple[space.LabelMap, space.Grid]) -> None:
    truth, grid = case
    predicted = np.where(truth == 1, 0, truth).astype(np.uint8)
    found = scored(predicted, truth, grid)
    missing = found["Left lobules I-II"]
    assert missing.dice == 0
    assert math.isnan(missing.hausdorff95_mm)
    assert missing.difference_percent == -100
    assert found[MEANS[0]].dice == pytest.approx(25 / 26)
    assert found[MEANS[1]].dice == 1
    assert found[MEANS[0]].hausdorff95_mm == 0


def test_volumes_are_told_in_cm3_and_per_cent_of_the_truth(case: tuple[space.LabelMap, space.Grid]) -> None:
    truth, grid = case
    predicted = np.where(truth == 6, 7, truth).astype(np.uint8)
    found = scored(predicted, truth, grid)
    moved = np.count_nonzero(truth == 6) * 0.008
    assert found["Left Crus II"].difference_cm3 == pytest.approx(moved)
    assert found["Left Crus II"].difference_percent == pytest.approx(
        100 * moved / (np.count_nonzero(truth == 7) * 0.008)
    )
    assert found["left posterior-superior lobe"].difference_cm3 == pytest.approx(0)


def test_another_grid_of_the_same_frame_agrees(tmp_path: Path) -> None:
    """The prediction at 1 mm with its first axis backwards, the truth at 2 mm."""
    fine, fine_grid = template_case(1.0)
    coarse, grid = template_case(2.0)
    backwards = fine_grid.affine @ np.array([[-1.0, 0, 0, fine.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    found = {
        each.region: each
        for each in score_files(
            saved(tmp_path / "p.nii.gz", fine[::-1], backwards), saved(tmp_path / "t.nii.gz", coarse, grid.affine)
        )
    }
    assert found[WHOLE].dice > 0.97
    assert found[MEANS[1]].dice > 0.9
    assert found[WHOLE].predicted_cm3 == pytest.approx(np.count_nonzero(fine) / 1000)


def test_maps_that_do_not_overlap_are_refused_with_their_distance(
    case: tuple[space.LabelMap, space.Grid], tmp_path: Path
) -> None:
    truth, grid = case
    far = grid.affine.copy()
    far[2, 3] += 300
    with pytest.raises(LabelMapError, match=r"p.nii.gz: expected labels that overlap those of t.nii.gz, found none .* "
                       r"300 mm apart"):  # fmt: skip
        score_files(saved(tmp_path / "p.nii.gz", truth, far), saved(tmp_path / "t.nii.gz", truth, grid.affine))


def test_other_codes_are_refused_by_file(case: tuple[space.LabelMap, space.Grid], tmp_path: Path) -> None:
    truth, grid = case
    wrong = saved(tmp_path / "wrong.nii.gz", truth + np.uint8(100), grid.affine)
    with pytest.raises(LabelMapError, match=r"wrong.nii.gz: expected codes 0 to 26"):
        score_files(wrong, saved(tmp_path / "t.nii.gz", truth, grid.affine))
