"""What may be given for a scan, and how what cannot be used is answered."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch import api
from cerebatch.errors import (
    CerebatchError,
    InstallationError,
    ScanGeometryError,
    ScanVoxelError,
    SettingsError,
    UnreadableScanError,
    WeightsError,
)
from cerebatch.io import dicom
from cerebatch.io.scan import read_scan
from cerebatch.single.given import take, take_session

SHAPE = (64, 64, 60)


def image(shape: tuple[int, ...] = SHAPE, mm: float = 2.5) -> nib.Nifti1Image:
    """A head of noise."""
    values = np.random.default_rng(0).uniform(1, 100, shape).astype(np.float32)
    return nib.Nifti1Image(values, np.diag([mm, mm, mm, 1.0]))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A file that is taken."""
    nib.save(image(), tmp_path / "head.nii")
    return tmp_path / "head.nii"


def test_a_path_is_taken_as_it_is(scan: Path, tmp_path: Path) -> None:
    given = take(str(scan), tmp_path / "new", "T1w", "sub-x")
    assert given.path == scan
    assert not (tmp_path / "new").exists()


def test_a_nibabel_image_keeps_its_values_and_grid(tmp_path: Path) -> None:
    given = take(image(), tmp_path, "T1w", "sub-x")
    back = nib.load(given.path)
    assert np.array_equal(back.get_fdata(), image().get_fdata())
    assert np.array_equal(back.affine, image().affine)


def test_an_mgh_image_in_memory_is_taken(tmp_path: Path) -> None:
    held = nib.MGHImage(np.asarray(image().dataobj), image().affine)
    assert np.array_equal(read_scan(take(held, tmp_path, "T1w", "sub-x").path).stored_grid.affine, image().affine)


def test_an_ants_image_lies_where_its_file_does(tmp_path: Path) -> None:
    ants = pytest.importorskip("ants")
    turned = nib.Nifti1Image(
        np.asarray(image().dataobj), np.array([[0, 2.4, 0, -70], [-2.5, 0, 0, 80], [0, 0.1, 2.6, -60], [0, 0, 0, 1.0]])
    )
    turned.set_qform(turned.affine, 1)
    turned.set_sform(turned.get_qform(), 1)  # without the shear that no ANTs image has
    nib.save(turned, tmp_path / "turned.nii")
    given = take(ants.image_read(str(tmp_path / "turned.nii")), tmp_path, "T1w", "sub-x")
    back = nib.load(given.path)
    assert np.allclose(back.affine, turned.affine, atol=1e-4)
    assert np.array_equal(back.get_fdata(), turned.get_fdata())


def test_an_image_in_memory_is_called_so_when_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanGeometryError, match=r"^the T1w in memory: expected one volume .* a series"):
        take(image((32, 32, 32, 5), 5.0), tmp_path, "T1w", "sub-x")


def missing(folder: Path) -> object:
    return folder / "none.nii.gz"


def cut_short(folder: Path) -> object:
    nib.save(image(), folder / "cut.nii.gz")
    whole = (folder / "cut.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.nii.gz"


def text(folder: Path) -> object:
    (folder / "notes.txt").write_text("not an image")
    return folder / "notes.txt"


def one_dicom_file(folder: Path) -> object:
    (folder / "0001.dcm").write_bytes(bytes(128) + b"DICM" + struct.pack("<HH", 2, 0))
    return folder / "0001.dcm"


def dataset(folder: Path) -> object:
    (folder / "sub-01").mkdir()
    return folder


def folder_of_images(folder: Path) -> object:
    nib.save(image(), folder / "a_T1w.nii.gz")
    nib.save(image(), folder / "b_T1w.nii.gz")
    return folder


def empty_folder(folder: Path) -> object:
    return folder


def series(folder: Path) -> object:
    return image((*SHAPE, 3))


def not_a_number(folder: Path) -> object:
    values = np.asarray(image().dataobj).copy()
    values[3, 4, 5] = np.nan
    return nib.Nifti1Image(values, image().affine)


def constant(folder: Path) -> object:
    return nib.Nifti1Image(np.ones(SHAPE, np.float32), image().affine)


def no_orientation(folder: Path) -> object:
    header = image().header
    header["sform_code"] = header["qform_code"] = 0
    nib.save(nib.Nifti1Image(np.asarray(image().dataobj), None, header), folder / "turned.nii")
    return nib.load(folder / "turned.nii")


def no_affine(folder: Path) -> object:
    return nib.Nifti1Image(np.asarray(image().dataobj), None)


def too_coarse(folder: Path) -> object:
    return image((40, 40, 40), 5.0)


def an_array(folder: Path) -> object:
    return np.zeros(SHAPE)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (missing, UnreadableScanError, "no such file"),
        (cut_short, UnreadableScanError, "truncated"),
        (text, UnreadableScanError, r"a file named \*\.txt"),
        (one_dicom_file, UnreadableScanError, r"a file named \*\.dcm.*Give the folder"),
        (dataset, UnreadableScanError, "the folder of a dataset.*cerebatch run"),
        (folder_of_images, UnreadableScanError, r"a_T1w\.nii\.gz, b_T1w\.nii\.gz.*Give one of them"),
        (empty_folder, UnreadableScanError, "expected a folder with the DICOM files of one series, found no files"),
        (series, ScanGeometryError, "the T1w in memory.*a series"),
        (not_a_number, ScanVoxelError, r"NaN.*index \(3, 4, 5\)"),
        (constant, ScanVoxelError, "the same value 1"),
        (no_orientation, ScanGeometryError, r"turned\.nii: .*neither sform nor qform"),
        (no_affine, UnreadableScanError, "the T1w in memory: expected an image with an affine"),
        (too_coarse, ScanGeometryError, "voxels of at most 3.5 mm"),
        (an_array, SettingsError, "expected a path to .* found ndarray"),
    ],
)
def test_what_cannot_be_used_is_answered_by_name_before_anything_starts(
    make: Callable[[Path], object], kind: type[CerebatchError], words: str, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        api.segment(make(tmp_path), weights=weights, resolution=4.0)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"resolution": 2.0}, SettingsError, "resolution: expected one of 1.0, 0.5, 4.0 mm, found 2.0"),
        ({"resolution": 1.0}, WeightsError, "expected weights for 1.0 mm, found weights for 4.0 mm"),
        ({"method": "atlas"}, SettingsError, "method atlas: expected a library, and no weights"),
        ({"name": "a/b"}, SettingsError, "expected letters and digits"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    scan: Path, weights: Path, settings: dict[str, object], kind: type[CerebatchError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        api.segment(scan, weights=weights, **({"resolution": 4.0} | settings))  # type: ignore[arg-type]


def test_a_second_scan_is_refused_as_the_first_would_be(scan: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ScanGeometryError, match="the T2w in memory"):
        api.segment(scan, image((*SHAPE, 3)), weights=weights, resolution=4.0)


def test_the_t1w_given_twice_is_refused(scan: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableScanError, match="expected a T2w beside the T1w, found the T1w itself"):
        take_session(scan, str(scan), tmp_path, ("x", None))


def test_without_dcm2niix_the_command_that_brings_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001.dcm").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "dcm2niix", None)  # as where it is not installed
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallationError, match="pip install dcm2niix"):
        dicom.convert_series(tmp_path, tmp_path / "out/x.nii.gz")
