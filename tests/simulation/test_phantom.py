import csv
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cerebatch import labels
from cerebatch.simulation.phantom import VOLUMES_CM3, cerebellum, person, template_case, write_cohort
from cerebatch.simulation.phantom.head import cerebellar_tissue, fossa, template_head
from cerebatch.simulation.phantom.people import Phantom
from cerebatch.spatial import space

HEAD = 7


@cache
def whole_head() -> Phantom:
    return person(HEAD, resolution_mm=2.0, t2=True)


@cache
def case(resolution: float = 1.0) -> tuple[space.LabelMap, space.Grid]:
    return template_case(resolution)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, 2, seed=3, resolution_mm=2.0, t2=True)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("label", labels.LABELS, ids=lambda label: label.abbreviation)
def test_a_structure_has_its_published_size_and_is_in_one_piece(label: labels.Label) -> None:
    dseg, grid = case()
    mask = dseg == label.index
    assert mask.sum() * grid.voxel_volume_mm3 / 1000 == pytest.approx(VOLUMES_CM3[label.structure], rel=0.01)
    pieces = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=pieces)
    assert np.bincount(pieces[mask]).max() >= 0.95 * mask.sum()


@pytest.mark.parametrize("label", labels.LABELS, ids=lambda label: label.abbreviation)
def test_a_structure_keeps_its_size_at_half_a_millimetre(label: labels.Label) -> None:
    dseg, grid = case(0.5)
    volume = (dseg == label.index).sum() * grid.voxel_volume_mm3 / 1000
    assert volume == pytest.approx(VOLUMES_CM3[label.structure], rel=0.03)


def test_left_lies_at_negative_x_and_the_map_mirrors_itself() -> None:
    dseg, grid = case()
    x, _, _ = cerebellum.centres_mm(grid)
    left = np.isin(dseg, [label.index for label in labels.LABELS if label.side == "left"])
    assert (left == ((dseg > 0) & (x < 0))).all()
    assert (labels.mirrored(dseg[::-1]) == dseg).all()


def test_the_map_keeps_five_millimetres_from_the_faces_of_the_box() -> None:
    dseg, _ = case()
    occupied = np.argwhere(dseg > 0)
    assert occupied.min() >= 5
    assert (occupied.max(axis=0) < np.array(dseg.shape) - 5).all()


def test_the_lobules_follow_each_other_around_the_fastigium() -> None:
    dseg, grid = case()
    centre = {
        label.structure: space.apply(grid.affine, np.argwhere(dseg == label.index).astype(float)).mean(axis=0)
        for label in labels.LABELS
        if label.side == "left"
    }
    y = {name: mm[1] for name, mm in centre.items()}
    z = {name: mm[2] for name, mm in centre.items()}
    assert z["V"] > z["VI"] > z["Crus I"] > z["Crus II"] > z["VIIB"]
    assert y["III"] > y["IV"] > y["V"] > y["VI"] > y["Crus I"]
    assert y["Crus II"] < y["VIIB"] < y["VIIIA"] < y["VIIIB"] < y["IX"] < y["X"]
    assert z["I-II"] > z["X"] > z["IX"]
    assert max(centre, key=lambda name: abs(centre[name][0])) == "Crus I"


def test_nothing_is_left_of_the_templates_own_cerebellum() -> None:
    head = template_head()
    block, inside, _, wm = cerebellar_tissue(head.grid)
    x, y, z = cerebellum.centres_mm(head.grid.block(block))
    around = fossa(x, y, z) & (inside == 0) & (wm == 0) & head.intracranial[block]
    assert around.sum() > 50_000
    assert head.t1w[block][around].max() < 0.3
    lateral_fossa = (np.abs(x) > 20) & (np.abs(x) < 50) & (y < -45) & (y > -85) & (z < -27)
    outside = lateral_fossa & (inside == 0) & head.intracranial[block]
    assert head.t1w[block][outside].max() < 0.3


def test_white_matter_is_brighter_than_grey_in_t1_and_darker_in_t2() -> None:
    head = whole_head()
    assert head.t2w is not None
    wm = np.isin(head.dseg, [label.index for label in labels.LABELS if label.lobe == "white_matter"])
    cortex = (head.dseg > 0) & ~wm
    assert head.t1w[wm].mean() > 1.2 * head.t1w[cortex].mean()
    assert head.t2w[wm].mean() < 0.9 * head.t2w[cortex].mean()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_head() -> None:
    again, other = person(HEAD, resolution_mm=2.0, t2=True), person(HEAD + 1, resolution_mm=2.0)
    assert again.t1w.tobytes() == whole_head().t1w.tobytes()
    assert again.dseg.tobytes() == whole_head().dseg.tobytes()
    assert not np.allclose(other.mni_from_native, again.mni_from_native)
    assert other.icv_cm3 != pytest.approx(again.icv_cm3, rel=1e-4)


def test_true_volumes_agree_with_the_labels_of_the_scan() -> None:
    made = whole_head()
    counted = np.bincount(made.dseg.ravel(), minlength=labels.N_CLASSES) * made.grid.voxel_volume_mm3 / 1000
    assert counted[1:].sum() == pytest.approx(sum(made.volumes_cm3.values()), rel=0.01)
    for label in labels.LABELS:
        slack = 0.05 if made.volumes_cm3[label.index] > 3 else 0.25
        assert counted[label.index] == pytest.approx(made.volumes_cm3[label.index], rel=slack), label.name


def test_brain_extraction_leaves_the_intracranial_volume_of_the_same_head() -> None:
    brain = person(HEAD, resolution_mm=2.0, skull=False)
    assert (brain.mni_from_native == whole_head().mni_from_native).all()
    assert brain.icv_cm3 == whole_head().icv_cm3
    assert (brain.t1w > 0).sum() * brain.grid.voxel_volume_mm3 / 1000 == pytest.approx(brain.icv_cm3, rel=0.01)


@pytest.mark.parametrize("resolution_mm", [2.0, 3.0])
def test_the_voxel_size_is_honoured(resolution_mm: float) -> None:
    made = person(HEAD, resolution_mm=resolution_mm, skull=False)
    assert made.grid.voxel_sizes_mm == pytest.approx([resolution_mm] * 3)
    assert made.t1w.shape == made.dseg.shape == made.grid.shape
    assert made.t1w.dtype == np.float32


def test_the_affine_takes_the_scans_cerebellum_to_its_place_in_the_template() -> None:
    made = whole_head()
    native = space.apply(made.grid.affine, np.argwhere(made.dseg > 0).astype(float))
    dseg, grid = case()
    expected = space.apply(grid.affine, np.argwhere(dseg > 0).astype(float)).mean(axis=0)
    assert space.apply(made.mni_from_native, native).mean(axis=0) == pytest.approx(expected, abs=5)


def test_a_cohort_is_a_bids_dataset_with_its_truth(cohort: Path) -> None:
    truth = cohort / "derivatives" / "phantom-truth"
    assert "phantom" in (cohort / "dataset_description.json").read_text()
    assert [row["participant_id"] for row in rows(cohort / "participants.tsv")] == ["sub-phantom001", "sub-phantom002"]
    for name in ("sub-phantom001", "sub-phantom002"):
        t1w = nib.load(cohort / name / "anat" / f"{name}_T1w.nii.gz")
        t2w = nib.load(cohort / name / "anat" / f"{name}_T2w.nii.gz")
        dseg = nib.load(truth / name / "anat" / f"{name}_seg-lobules_dseg.nii.gz")
        assert t1w.header.get_zooms() == pytest.approx((2, 2, 2))
        assert t1w.shape == t2w.shape == dseg.shape
        assert np.allclose(t1w.affine, dseg.affine)
        assert dseg.get_data_dtype() == np.uint8
        assert (cohort / name / "anat" / f"{name}_T1w.json").exists()
    template = nib.load(truth / "tpl-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz")
    assert (np.asarray(template.dataobj) == case()[0]).all()
    assert np.allclose(template.affine, case()[1].affine)


def test_the_volumes_of_a_cohort_are_those_of_its_label_maps(cohort: Path) -> None:
    truth = cohort / "derivatives" / "phantom-truth"
    for row in rows(truth / "volumes.tsv"):
        name = row["participant_id"]
        image = nib.load(truth / name / "anat" / f"{name}_seg-lobules_dseg.nii.gz")
        counted = np.bincount(np.asarray(image.dataobj).ravel(), minlength=labels.N_CLASSES) * 8 / 1000
        assert counted[6] == pytest.approx(float(row["L_Crus_I"]), rel=0.05)
        assert 1200 < float(row["icv_cm3"]) < 2700


def test_the_same_seed_writes_the_same_bytes_and_more_people_begin_alike(cohort: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path, 1, seed=3, resolution_mm=2.0, t2=True)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "phantom001" in path.name]
    assert len(written) >= 6
    for path in written:
        assert path.read_bytes() == (cohort / path.relative_to(tmp_path)).read_bytes(), path.name
