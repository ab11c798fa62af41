"""Scores in the box agree with those on the scan's grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.common.in_box import read_box_truth, score_in_box
from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.protocols import read_protocol
from cerebatch.labels import LABELS
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import Affine, Grid, LabelMap, inverse, resample_labels

LEFT_VI = 5


@pytest.fixture(scope="module")
def placed() -> tuple[LabelMap, Affine]:
    """Labels in the box, and an affine from a native frame that is turned, moved and of another size."""
    dseg, _ = template_case(1.0)
    turn = np.eye(4)
    angle = np.radians(8)
    turn[:2, :2] = 0.95 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[2, 2] = 0.95
    turn[:3, 3] = (10.0, -20.0, 5.0)
    return dseg, turn


def native_codes(dseg: LabelMap, mni_from_native: Affine, table: dict[str, tuple[int, int]], path: Path) -> Path:
    """The labels in a native grid, under (grey, white) codes by side."""
    _, box = template_case(1.0)
    shape = (190, 150, 150)
    affine = np.eye(4)
    affine[:3, 3] = inverse(mni_from_native)[:3, 3] + (-95, -130, -110)
    native = resample_labels(dseg, box, Grid(shape, affine), mni_from_native)
    codes = np.zeros(native.shape, dtype=np.int16)
    for label in LABELS:
        codes[native == label.index] = table[label.side][label.structure == "White matter"]
    nib.save(nib.Nifti1Image(codes, affine), path)
    return path


def test_labels_agree_with_their_own_outline(placed: tuple[LabelMap, Affine], tmp_path: Path) -> None:
    dseg, mni_from_native = placed
    path = native_codes(dseg, mni_from_native, {"left": (39, 41), "right": (38, 40)}, tmp_path / "manual_dseg.nii.gz")
    t1w = np.full(dseg.shape, 150.0, dtype=np.float32)
    truth = read_box_truth(path, "manual-outline", t1w, mni_from_native)
    assert truth.voxel_mm3 == pytest.approx(1 / 0.95**3)
    found = score_in_box(dseg, truth)
    assert found["whole"] == found["whole_bright"] > 0.97
    assert found["volume_ratio"] == pytest.approx(1, abs=0.02)
    assert found["white"] > 0.93
    assert found["sides"] > 0.995
    lost = np.where(dseg == LEFT_VI, 0, dseg).astype(np.uint8)
    cm3 = float((dseg == LEFT_VI).sum() / 0.95**3 / 1000)
    assert score_in_box(lost, truth)["missed_cm3"] - found["missed_cm3"] == pytest.approx(cm3, rel=0.1)
    dark = truth.t1w.copy()
    dark[dseg == LEFT_VI] = 50
    forgiven = score_in_box(lost, read_box_truth(path, "manual-outline", dark, mni_from_native))
    assert forgiven["volume_ratio_bright"] > 0.98 > forgiven["volume_ratio"]


def test_another_tools_map_is_scored_as_on_arrays(placed: tuple[LabelMap, Affine], tmp_path: Path) -> None:
    dseg, mni_from_native = placed
    path = native_codes(dseg, mni_from_native, {"left": (8, 7), "right": (47, 46)}, tmp_path / "aseg_dseg.nii.gz")
    t1w = np.full(dseg.shape, 150.0, dtype=np.float32)
    truth = read_box_truth(path, "freesurfer", t1w, mni_from_native)
    found = score_in_box(dseg, truth)
    whole = agreement(dseg, truth.other, read_protocol("freesurfer"))
    assert (found["regions"], found["names"], found["whole"]) == (whole.region_dice, whole.names, whole.whole)
    assert found["spill_lobules_cm3"] == found["spill_white_cm3"] == 0
    lost = np.where(dseg == LEFT_VI, 0, dseg).astype(np.uint8)
    cm3 = float(((dseg == LEFT_VI) & (truth.other > 0)).sum() / 0.95**3 / 1000)
    assert score_in_box(lost, truth)["missed_cm3"] - found["missed_cm3"] == pytest.approx(cm3)
    spilt = dseg.copy()
    spilt[:3, :10, :10] = LEFT_VI
    assert score_in_box(spilt, truth)["spill_lobules_cm3"] == pytest.approx(0.3 / 0.95**3)
