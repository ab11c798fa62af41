"""A real person's T1w and T2w by one call with the shipped networks; real scans in the formats that are taken."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import cerebatch
from cerebatch.io.scan import read_scan
from cerebatch.single.given import take

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(data: Path) -> tuple[Path, Path]:
    """T1w and T2w of one person, brain-extracted, on the smallest grid."""
    folder = data / "scans/sub-pair07/anat"
    return folder / "sub-pair07_T1w.nii.gz", folder / "sub-pair07_T2w.nii.gz"


@pytest.fixture(scope="module")
def found(pair: tuple[Path, Path]) -> cerebatch.Segmentation:
    """What the call gives with nothing but the two scans; a minute and a half on one core."""
    return cerebatch.segment(*pair, probabilities=False)


@pytest.mark.long
def test_a_cerebellum_of_a_person_comes_out(found: cerebatch.Segmentation, pair: tuple[Path, Path]) -> None:
    assert np.allclose(found.labels.affine, nib.load(pair[0]).affine)
    both = found.volumes.query("side == 'both'").set_index("structure").volume_cm3
    assert 90 < both["cerebellum"] < 180
    assert both["Crus I"] > both["X"]
    labels = np.asarray(found.labels.dataobj)
    assert set(np.unique(labels)) == set(range(1 + len(cerebatch.LABELS)))
    assert found.information["Method"] == "networks"
    assert "Trial" not in found.information or not found.information["Trial"]


@pytest.mark.long
def test_sides_are_about_equal_and_lie_on_their_sides(found: cerebatch.Segmentation) -> None:
    whole = found.volumes.query("structure == 'cerebellum'").set_index("side").volume_cm3
    assert whole["left"] == pytest.approx(whole["right"], rel=0.1)
    labels = nib.as_closest_canonical(found.labels)
    voxels = np.asarray(labels.dataobj)
    left = [label.index for label in cerebatch.LABELS if label.side == "left"]
    x = [np.argwhere(np.isin(voxels, codes))[:, 0].mean() for codes in (left, [code + len(left) for code in left])]
    assert x[0] < x[1]  # in RAS the left is where x is small


@pytest.mark.long
def test_the_page_rates_it_and_names_both_scans(found: cerebatch.Segmentation, tmp_path: Path) -> None:
    assert found.rating in ("A", "B")
    assert found.information["Sources"] == ["sub-pair07_T1w.nii.gz", "sub-pair07_T2w.nii.gz"]
    assert found.save(tmp_path).is_file()


@pytest.mark.parametrize("name", ["brain01", "whole02"])
def test_a_scan_in_mgh_is_the_scan_in_nifti(data: Path, tmp_path: Path, name: str) -> None:
    path = data / f"scans/sub-{name}/anat/sub-{name}_T1w.nii.gz"
    image = nib.load(path)
    nib.save(nib.MGHImage(image.get_fdata(dtype=np.float32), image.affine), tmp_path / "x.mgz")
    one, other = read_scan(path), read_scan(tmp_path / "x.mgz")
    assert np.array_equal(one.image, other.image)
    assert np.allclose(one.grid.affine, other.grid.affine, atol=1e-3)


def test_a_folder_of_dicom_is_the_scan_in_nifti(data: Path, tmp_path: Path) -> None:
    (known,) = (data / "scans-unlabelled/sub-whole03").rglob("*_T1w.nii.gz")
    one, other = read_scan(take(data / "scan-dicom", tmp_path, "T1w", "sub-x").path), read_scan(known)
    scale = one.image.max() / other.image.max()  # Philips has two scales for one voxel; no step depends on it
    assert np.allclose(one.image, scale * other.image, atol=1e-3 * float(one.image.max()))
    assert np.allclose(one.grid.affine, other.grid.affine, atol=1e-3)
