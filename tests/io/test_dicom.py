"""A folder of DICOM files becomes one image; a real series, and what is none."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.errors import InstallationError, UnreadableScanError
from cerebatch.io.dicom import convert_series


@pytest.fixture(autouse=True)
def dcm2niix() -> None:
    try:
        convert_series(Path("/nowhere/at/all"), Path("/tmp/none.nii.gz"))
    except InstallationError:
        pytest.skip("dcm2niix is not installed")
    except UnreadableScanError:
        pass


def test_a_real_series_becomes_the_image_that_others_made_of_it(data: Path, tmp_path: Path) -> None:
    image = nib.load(convert_series(data / "scan-dicom", tmp_path / "new/x.nii.gz"))
    (known,) = (data / "scans-unlabelled/sub-whole03").rglob("*_T1w.nii.gz")
    other = nib.load(known)
    assert image.shape == other.shape
    assert np.allclose(image.affine, other.affine, atol=1e-3)
    assert np.corrcoef(image.get_fdata()[::4, ::4, ::4].ravel(), other.get_fdata()[::4, ::4, ::4].ravel())[0, 1] > 0.999
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["x.json", "x.nii.gz"]


def test_files_that_are_no_dicom_are_refused_in_the_words_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("nothing")
    with pytest.raises(UnreadableScanError, match="none that can be converted; dcm2niix said last: Error"):
        convert_series(tmp_path / "in", tmp_path / "x.nii.gz")


def test_two_series_are_named_and_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, series in ((1, b"1301"), (2, b"1302")):
        for source in sorted((data / "scan-dicom").iterdir())[40:50]:
            content = source.read_bytes()
            if number == 2:
                content = _other_series(content)
            (tmp_path / "in" / f"{series.decode()}_{source.name}").write_bytes(content)
    with pytest.raises(UnreadableScanError, match=r"found 2 images: .*Give the folder of the T1-weighted series alone"):
        convert_series(tmp_path / "in", tmp_path / "x.nii.gz")
    assert not (tmp_path / "x.nii.gz").exists()


def _other_series(content: bytes) -> bytes:
    """The file with other numbers of series: (0020,000E) UID and (0020,0011) number."""
    at = content.index(b"\x20\x00\x0e\x00UI") + 8
    length = int.from_bytes(content[at - 2 : at], "little")
    uid = content[at : at + length]
    content = content.replace(uid, uid[:-3] + b"9" + uid[-2:])
    at = content.index(b"\x20\x00\x11\x00IS") + 8
    length = int.from_bytes(content[at - 2 : at], "little")
    return content[:at] + b"7".ljust(length) + content[at + length :]
