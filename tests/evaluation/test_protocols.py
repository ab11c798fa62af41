"""Tables of other tools' protocols: complete, and without contradictions."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.errors import LabelMapError, SettingsError
from cerebatch.evaluation.protocols import LEFT_OUT, PROTOCOLS, in_box, read_protocol
from cerebatch.labels import LABELS
from cerebatch.spatial.space import cerebellum_box


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_label_of_ours_is_one_region_or_left_out(name: str) -> None:
    protocol = read_protocol(name)
    regions = [region for region in protocol.regions if region.kind != "group"]
    codes = sorted(code for region in regions for code in region.ours) + sorted(protocol.ours_left_out)
    assert sorted(codes) == [label.index for label in LABELS]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_code_stands_once_for_the_other_map_and_carries_our_own_names(name: str) -> None:
    text = resources.files("cerebatch.evaluation").joinpath(f"protocol_tables/{name}.tsv").read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    other = [row["code"] for row in rows if row["map"] == "other"]
    assert len(other) == len(set(other))
    assert {row["map"] for row in rows} == {"other", "cerebatch"}
    names = {str(label.index): label.name for label in LABELS}
    assert all(row["name"] == names[row["code"]] for row in rows if row["map"] == "cerebatch")
    assert {row["kind"] for row in rows} <= {"cortex", "white matter", "group", "left out"}
    assert all((row["region"] == "") == (row["kind"] == "left out") for row in rows)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_regions_of_a_side_hold_labels_of_that_side(name: str) -> None:
    sides = {label.index: label.side for label in LABELS}
    for region in read_protocol(name).regions:
        found = {sides[code] for code in region.ours}
        assert found == ({"left", "right"} if region.kind == "group" else {region.name.split()[0]}), region


def test_cerebnet_has_ten_regions_a_side_and_the_vermis_apart() -> None:
    protocol = read_protocol("cerebnet")
    assert len(protocol.of_kind("cortex")) == 20
    assert [region.name for region in protocol.of_kind("group")] == [
        "vermis VI", "vermis VII", "vermis VIII", "vermis IX", "vermis X"
    ]  # fmt: skip
    numbers = {region.name: region.number for region in protocol.regions}
    assert protocol.other[601] == numbers["left I-IV"]
    assert protocol.other[632] == LEFT_OUT
    merged = protocol.merge_other(np.array([[[601, 628, 630, 17, 632]]], dtype=np.int16))
    assert merged.ravel().tolist() == [numbers["left I-IV"], numbers["right X"], numbers["vermis VII"], 0, LEFT_OUT]
    ours = protocol.merge_ours(np.array([[[0, 1, 3, 13, 25]]], dtype=np.uint8))
    assert ours.ravel().tolist() == [
        0, numbers["left I-IV"], numbers["left I-IV"], numbers["left white matter"], numbers["right X"]
    ]  # fmt: skip


def test_suit_cannot_answer_for_white_matter() -> None:
    protocol = read_protocol("suit")
    assert protocol.ours_left_out == (13, 26)
    assert {protocol.other[code] for code in range(29, 35)} == {LEFT_OUT}


def test_no_such_protocol() -> None:
    with pytest.raises(SettingsError, match=r"--protocol ceres: expected one of cerebnet, manual-outline"):
        read_protocol("ceres")


def test_a_map_of_another_tool_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other_dseg.nii.gz"
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), 17, dtype=np.int16), np.eye(4)), path)
    with pytest.raises(LabelMapError, match=r"other_dseg.nii.gz: expected codes of the protocol freesurfer \(7, 8"):
        read_protocol("freesurfer").read(path)


def test_a_merged_map_comes_to_the_box_by_the_affine() -> None:
    box = cerebellum_box(1.0)
    protocol = read_protocol("freesurfer")
    merged = np.zeros(box.shape, dtype=np.uint8)
    merged[40:60, 30:50, 20:40] = protocol.other[8]
    shift = np.eye(4)
    shift[0, 3] = 7.0
    moved = in_box(merged, box, shift)
    assert np.array_equal(moved, np.roll(merged, 7, axis=0))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cerebnet", "scans-labelled/sub-bert_desc-cerebnet_dseg.nii.gz"),
        ("manual-outline", "scans-outlined/derivatives/manual/sub-1010/anat/sub-1010_desc-manual_dseg.nii.gz"),
        ("suit", "atlas/suit_space-MNI152NLin6Asym_dseg.nii.gz"),
        ("freesurfer", "heads/head-01_dseg.nii.gz"),
    ],
)
def test_published_maps_hold_every_region(name: str, file: str, data: Path) -> None:
    protocol = read_protocol(name)
    merged, grid = protocol.read(data / file)
    cm3 = np.bincount(merged.ravel(), minlength=256) * grid.voxel_volume_mm3 / 1000
    empty = [region.name for region in protocol.regions if cm3[region.number] == 0]
    assert empty == []
    assert 80 < cm3[1:].sum() < 200
    index = np.argwhere(np.isin(merged, [r.number for r in protocol.regions if r.name.startswith("left")]))
    other = np.argwhere(np.isin(merged, [r.number for r in protocol.regions if r.name.startswith("right")]))
    across = [(grid.affine[:3, :3] @ points.mean(axis=0))[0] for points in (index, other)]
    assert across[0] < across[1] - 20
