"""Agreement with maps of other protocols, on small maps whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.errors import LabelMapError
from cerebatch.evaluation.agreement import agreement, mean_name, score_against, score_regions
from cerebatch.evaluation.protocols import LEFT_OUT, read_protocol
from cerebatch.spatial.space import Grid, LabelMap

CEREBNET = read_protocol("cerebnet")
CODE = {region.name: region.number for region in CEREBNET.regions}
LEFT_VI, LEFT_CRUS_I, LEFT_WHITE, RIGHT_VI = 5, 6, 13, 18


def row(*codes: int) -> LabelMap:
    return np.array(codes, dtype=np.uint8).reshape(-1, 1, 1)


def test_names_are_a_share_of_the_cortex_that_both_call_cortex() -> None:
    ours = row(LEFT_VI, LEFT_VI, LEFT_CRUS_I, LEFT_WHITE, 0, LEFT_CRUS_I)
    theirs = row(*(CODE["left VI"],) * 5, 0)
    found = agreement(ours, theirs, CEREBNET)
    # Three voxels are cortex in both; two of them are VI in both.
    assert found.names == pytest.approx(2 / 3)
    assert found.dice["left VI"] == pytest.approx(2 * 2 / (2 + 5))
    assert found.dice["left Crus I"] == 0
    assert found.region_dice == pytest.approx((4 / 7 + 0) / 2)
    assert found.common_dice == pytest.approx((2 * 2 / (2 + 3) + 0) / 2)
    assert found.whole == pytest.approx(2 * 4 / (5 + 5))
    assert found.volume_ratio == 1


def test_vermis_that_the_other_draws_apart_is_in_no_region_but_in_the_whole_and_has_names_of_its_own() -> None:
    ours = row(LEFT_VI, LEFT_VI, RIGHT_VI, LEFT_CRUS_I, LEFT_WHITE, 0)
    vermis = CODE["vermis VI"]
    theirs = row(CODE["left VI"], vermis, vermis, vermis, vermis, vermis)
    found = agreement(ours, theirs, CEREBNET)
    assert found.dice["left VI"] == 1
    assert found.region_dice == 1
    assert found.names == 1
    # Two of the three voxels that we call a lobule belong to VI.
    assert found.groups == pytest.approx(2 / 3)
    assert found.whole == pytest.approx(2 * 5 / (5 + 6))


def test_what_is_left_out_is_taken_out_of_both() -> None:
    ours = row(LEFT_VI, LEFT_VI, 0)
    theirs = row(CODE["left VI"], LEFT_OUT, LEFT_OUT)
    found = agreement(ours, theirs, CEREBNET)
    assert found.whole == found.region_dice == found.volume_ratio == 1
    suit = read_protocol("suit")
    number = {region.name: region.number for region in suit.regions}
    found = agreement(row(LEFT_VI, LEFT_WHITE), row(number["left VI"], number["left VI"]), suit)
    assert found.whole == found.region_dice == found.volume_ratio == 1


def test_a_map_that_calls_nothing_cortex_has_no_names() -> None:
    found = agreement(row(LEFT_WHITE, 0), row(CODE["left VI"], CODE["left VI"]), CEREBNET)
    assert math.isnan(found.names)
    assert found.region_dice == 0


def test_scores_tell_every_region_with_names_beside_dice() -> None:
    grid = Grid((6, 1, 1), np.diag([2.0, 2.0, 2.0, 1.0]))
    ours = row(LEFT_VI, LEFT_VI, LEFT_CRUS_I, LEFT_WHITE, 0, LEFT_CRUS_I)
    theirs = row(*(CODE["left VI"],) * 4, CODE["vermis VI"], 0)
    found = {each.region: each for each in score_regions(ours, theirs, grid, CEREBNET)}
    assert len(found) == 20 + 2 + 5 + 1 + 1
    assert found["left VI"].names == pytest.approx(2 / 3)
    assert found["left VI"].dice == pytest.approx(2 * 2 / (2 + 4))
    assert found["left VI"].truth_cm3 == pytest.approx(4 * 0.008)
    assert found["left VI"].hausdorff95_mm > 0
    assert math.isnan(found["left V"].dice)
    mean = found[mean_name(CEREBNET)]
    whole = agreement(ours, theirs, CEREBNET)
    assert (mean.kind, mean.dice, mean.names) == ("mean", whole.region_dice, whole.names)


def test_a_map_agrees_with_its_own_translation(data: Path) -> None:
    """Every lobule of CerebNet's map, written in our codes, is named as CerebNet names it."""
    merged, _ = CEREBNET.read(data / "scans-labelled/sub-testy_desc-cerebnet_dseg.nii.gz")
    table = np.zeros(256, dtype=np.uint8)
    for region in CEREBNET.regions:
        table[region.number] = region.ours[0]
    found = agreement(table[merged], merged, CEREBNET)
    assert found.region_dice == found.names == found.common_dice == found.groups == found.whole == 1


def test_files_are_compared_on_the_grid_of_the_other(tmp_path: Path) -> None:
    codes = np.zeros((20, 20, 20), dtype=np.int16)
    codes[4:10, 4:16, 4:16], codes[10:16, 4:16, 4:16] = 605, 607
    other = tmp_path / "other_dseg.nii.gz"
    nib.save(nib.Nifti1Image(codes, np.eye(4)), other)
    ours = np.where(codes == 605, LEFT_VI, np.where(codes == 607, RIGHT_VI, 0)).astype(np.uint8)
    backwards = np.array([[-1.0, 0, 0, 19], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    predicted = tmp_path / "ours_dseg.nii.gz"
    nib.save(nib.Nifti1Image(ours[::-1], backwards), predicted)
    found = {each.region: each for each in score_against(predicted, other, CEREBNET)}
    assert found["left VI"].dice == found["right VI"].dice == found["left VI"].names == 1
    far = np.eye(4)
    far[1, 3] = 300
    nib.save(nib.Nifti1Image(ours, far), predicted)
    with pytest.raises(LabelMapError, match=r"ours_dseg.nii.gz: expected labels that overlap those of other_dseg"):
        score_against(predicted, other, CEREBNET)
