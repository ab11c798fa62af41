"""What `read_scan` refuses: files, geometry and voxels that cannot be used."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from made_scans import RAS, SHAPE, head, saved

from cerebatch.errors import CerebatchError, ScanError, ScanGeometryError, ScanVoxelError, UnreadableScanError
from cerebatch.io.scan import read_scan


def refused(path: Path, kind: type[ScanError], found: str, do: str) -> ScanError:
    """Assert that the file is refused with a message that names it, what was found, and a way out."""
    with pytest.raises(CerebatchError) as caught:
        read_scan(path)
    error = caught.value
    assert type(error) is kind
    assert str(path) in str(error)
    assert found in error.found
    assert do in error.do
    assert error.found in str(error)
    assert error.do in str(error)
    assert "\n" not in str(error)
    return error


class TestFilesThatCannotBeRead:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        refused(tmp_path / "T1w.nii.gz", UnreadableScanError, "no such file", "Check the path")

    def test_a_link_without_content(self, tmp_path: Path) -> None:
        link = tmp_path / "T1w.nii.gz"
        link.symlink_to(tmp_path / "annex" / "content")
        refused(link, UnreadableScanError, "a link to", "datalad get")

    def test_a_folder(self, tmp_path: Path) -> None:
        refused(tmp_path, UnreadableScanError, "a folder", "Give the image inside")

    @pytest.mark.parametrize("name", ["T1w.nii", "T1w.nii.gz", "T1w.mgh", "T1w.mgz"])
    def test_an_empty_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        refused(tmp_path / name, UnreadableScanError, "0 bytes", "Copy or convert it again")

    @pytest.mark.parametrize("name", ["T1w.nii", "T1w.mgh"])
    def test_text_under_the_name_of_an_image(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("no image at all, but long enough for a header" * 20)
        refused(tmp_path / name, UnreadableScanError, "damaged file", "Copy or convert it again")

    @pytest.mark.parametrize("name", ["T1w.nii.gz", "T1w.mgz"])
    def test_compressed_text_under_the_name_of_an_image(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(gzip.compress(b"no image at all, but long enough for a header" * 20))
        refused(tmp_path / name, UnreadableScanError, "damaged file", "Copy or convert it again")

    def test_an_uncompressed_image_named_gz(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head()).rename(tmp_path / "T1w.nii.gz")
        refused(path, UnreadableScanError, "uncompressed data", "Rename it")

    def test_a_compressed_image_not_named_gz(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii.gz", head()).rename(tmp_path / "T1w.nii")
        refused(path, UnreadableScanError, "compressed data", "Rename it")

    @pytest.mark.parametrize("keep", [100, 350, 5000, -1])
    @pytest.mark.parametrize("name", ["T1w.nii", "T1w.nii.gz", "T1w.mgh", "T1w.mgz"])
    def test_a_truncated_file(self, tmp_path: Path, name: str, keep: int) -> None:
        whole = tmp_path / f"whole_{name}"
        nib.save(nib.Nifti1Image(head(), RAS) if "nii" in name else nib.MGHImage(head(), RAS), whole)
        # A footer of MGH may be missing: cut into the voxels.
        kept = whole.read_bytes()[: keep if keep > 0 or name != "T1w.mgh" else 284 + head().nbytes - 1]
        (tmp_path / name).write_bytes(kept)
        refused(tmp_path / name, UnreadableScanError, "truncated", "Copy or convert it again")

    def test_a_damaged_compressed_stream(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii.gz", head())
        content = bytearray(path.read_bytes())
        content[20000:20400] = bytes(400)
        path.write_bytes(content)
        refused(path, UnreadableScanError, "damaged file", "open it in a viewer")

    def test_a_compressed_file_with_a_wrong_checksum(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii.gz", head())
        content = bytearray(path.read_bytes())
        content[-8] ^= 0xFF
        path.write_bytes(content)
        refused(path, UnreadableScanError, "CRC", "Copy or convert it again")

    def test_a_header_that_promises_far_more_than_the_file_holds(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
        (tmp_path / "T1w.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
        refused(path, UnreadableScanError, "a truncated file", "Copy or convert it again")
        refused(tmp_path / "T1w.nii.gz", UnreadableScanError, "a truncated file", "Copy or convert it again")

    def test_a_header_that_claims_more_voxels_than_any_scan_has_is_refused_before_one_is_read(
        self, tmp_path: Path
    ) -> None:
        path = saved(tmp_path / "T1w.nii", head(), dim=[3, 2048, 2048, 1024, 1, 1, 1, 1], datatype=2)
        # As long as the whole would be if nothing were in it: gzip shrinks zeros a thousandfold.
        packed = gzip.compress(path.read_bytes()[:100_000]) + np.random.default_rng(1).bytes(5_000_000)
        (tmp_path / "T1w.nii.gz").write_bytes(packed)
        refused(tmp_path / "T1w.nii.gz", ScanGeometryError, "2048 x 2048 x 1024", "Downsample or crop it")

    def test_a_type_of_voxel_that_does_not_exist(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), datatype=77)
        refused(path, UnreadableScanError, "data code 77", "Copy or convert it again")

    @pytest.mark.parametrize("name", ["T1w.img", "T1w.hdr", "T1w.mnc", "T1w.nrrd", "T1w.dcm"])
    def test_another_format_by_its_name(self, tmp_path: Path, name: str) -> None:
        nib.AnalyzeImage(head(), RAS).to_filename(tmp_path / "T1w.img")
        (tmp_path / name).touch()
        do = "Convert the series to NIfTI" if name.endswith(".dcm") else "Convert it to NIfTI"
        refused(tmp_path / name, UnreadableScanError, f"*{Path(name).suffix}", do)

    def test_a_cifti_file_named_nii(self, tmp_path: Path) -> None:
        grey = nib.cifti2.BrainModelAxis.from_mask(head() > 0, affine=RAS, name="thalamus_left")
        scalars = nib.cifti2.ScalarAxis(["thickness"])
        values = np.zeros((1, len(grey)), np.float32)
        path = tmp_path / "T1w.dscalar.nii"
        nib.Cifti2Image(values, (scalars, grey)).to_filename(path)
        refused(path, UnreadableScanError, "Cifti2Image", "Convert it to NIfTI")


class TestGeometryThatCannotBeUsed:
    def test_a_plane(self, tmp_path: Path) -> None:
        refused(saved(tmp_path / "T1w.nii", head((64, 64))), ScanGeometryError, "64 x 64", "whole stack")

    def test_a_single_slice(self, tmp_path: Path) -> None:
        refused(saved(tmp_path / "T1w.nii", head((64, 64, 1))), ScanGeometryError, "64 x 64 x 1", "whole stack")

    def test_a_series(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "bold.nii", head((*SHAPE, 5)))
        refused(path, ScanGeometryError, "36 x 40 x 38 x 5", "one volume")

    def test_a_header_without_orientation(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), sform_code=0, qform_code=0)
        refused(path, ScanGeometryError, "both codes are 0", "dcm2niix")

    def test_an_mgh_header_without_orientation(self, tmp_path: Path) -> None:
        nib.MGHImage(head(), RAS).to_filename(tmp_path / "T1.mgh")
        content = bytearray((tmp_path / "T1.mgh").read_bytes())
        content[28:30] = bytes(2)
        (tmp_path / "T1.mgh").write_bytes(content)
        (tmp_path / "T1.mgz").write_bytes(gzip.compress(content))
        refused(tmp_path / "T1.mgh", ScanGeometryError, "goodRASFlag is 0", "set the orientation")
        refused(tmp_path / "T1.mgz", ScanGeometryError, "goodRASFlag is 0", "set the orientation")

    def test_a_singular_affine(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), srow_z=[0, 0, 0, 0])
        refused(path, ScanGeometryError, "3.00 x 3.00 x 0.00", "cannot be repaired")

    def test_axes_that_lie_in_one_plane(self, tmp_path: Path) -> None:
        skewed = np.array([[3.0, 0, 3, 0], [0, 3, 3, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
        refused(saved(tmp_path / "T1w.nii", head(), skewed), ScanGeometryError, "singular", "cannot be repaired")

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
    def test_an_affine_that_is_not_finite(self, tmp_path: Path, value: float) -> None:
        path = saved(tmp_path / "T1w.nii", head(), srow_x=[3, 0, 0, value])
        refused(path, ScanGeometryError, "NaN or infinite", "Convert the original images again")

    def test_forms_that_disagree_about_left_and_right(self, tmp_path: Path) -> None:
        mirrored = np.diag([-1.0, 1, 1, 1]) @ RAS
        path = saved(tmp_path / "T1w.nii", head(), qform=mirrored)
        refused(path, ScanGeometryError, "sform RAS and qform LAS", "which side is left")

    def test_a_qform_that_is_no_rotation(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), qform=RAS, quatern_b=4.0)
        refused(path, ScanGeometryError, "none", "set both forms alike")

    @pytest.mark.parametrize(("axis", "voxels"), [(0, 28), (1, 15), (2, 14)])
    def test_a_field_of_view_too_small_for_a_cerebellum(self, tmp_path: Path, axis: int, voxels: int) -> None:
        shape = [40, 40, 40]
        shape[axis] = voxels
        path = saved(tmp_path / "T1w.nii", head(tuple(shape)))
        error = refused(path, ScanGeometryError, str(voxels * 3), "covers the whole cerebellum")
        assert "90 x 50 x 45 mm" in error.expected

    def test_the_field_of_view_is_judged_along_the_axes_of_the_body(self, tmp_path: Path) -> None:
        sagittal = np.array([[0, 0, 3.0, 0], [3, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])
        read_scan(saved(tmp_path / "wide.nii", head((20, 20, 40)), sagittal))
        path = saved(tmp_path / "narrow.nii", head((40, 40, 20)), sagittal)
        refused(path, ScanGeometryError, "60 x 120 x 120", "covers the whole cerebellum")

    def test_a_header_that_counts_in_metres(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(), np.diag([0.003, 0.003, 0.003, 1]))
        refused(path, ScanGeometryError, "too small", "counts in millimetres")

    @pytest.mark.parametrize("axis", range(3))
    def test_thick_slices(self, tmp_path: Path, axis: int) -> None:
        edges = np.ones(4)
        edges[:3] = 3
        edges[axis] = 4
        refused(saved(tmp_path / "T1w.nii", head(), np.diag(edges)), ScanGeometryError, "4.00", "thinner slices")

    def test_a_bad_header_is_told_before_any_voxel_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = saved(tmp_path / "T1w.nii.gz", head(), np.diag([3.0, 3, 4, 1]))
        monkeypatch.setattr("cerebatch.io.scan._load", lambda *_: pytest.fail("voxels were read"))
        refused(path, ScanGeometryError, "4.00", "thinner slices")


class TestVoxelsThatCannotBeUsed:
    def test_colour(self, tmp_path: Path) -> None:
        colour = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
        refused(saved(tmp_path / "T1w.nii", colour), ScanVoxelError, "RGB", "screenshot")

    def test_complex_numbers(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii", head(dtype=np.complex64))
        refused(path, ScanVoxelError, "complex64", "magnitude image")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite(self, tmp_path: Path, value: float) -> None:
        voxels = head(dtype=np.float32)
        voxels[7, 8, 9] = voxels[20, 20, 20] = value
        path = saved(tmp_path / "T1w.nii.gz", voxels)
        refused(path, ScanVoxelError, "2 NaN or infinite voxels, the first at index (7, 8, 9)", "Replace them")

    def test_values_beyond_single_precision(self, tmp_path: Path) -> None:
        voxels = head(dtype=np.float64)
        voxels[0, 0, 0] = 1e300
        refused(saved(tmp_path / "T1w.nii", voxels), ScanVoxelError, "1 NaN or infinite voxels", "Replace them")

    @pytest.mark.parametrize("value", [0, 7])
    def test_the_same_value_everywhere(self, tmp_path: Path, value: int) -> None:
        path = saved(tmp_path / "T1w.nii.gz", np.full(SHAPE, value, np.int16))
        refused(path, ScanVoxelError, f"the same value {value} in every voxel", "open the result in a viewer")


class TestRealScans:
    def test_of_poor_t2w_scans_those_with_4_mm_slices_are_refused(self, data: Path) -> None:
        paths = sorted((data / "scans-poor").glob("*T2W.nii.gz"))
        thick = [path for path in paths if max(nib.load(path).header.get_zooms()) > 3.5]
        assert thick
        for path in thick:
            refused(path, ScanGeometryError, "4.00 mm", "thinner slices")
        for path in set(paths) - set(thick):
            assert sum("coarse" in sentence for sentence in read_scan(path).warnings) == 1, path

    def test_half_a_copy_of_a_real_scan_is_refused(self, data: Path, tmp_path: Path) -> None:
        path = tmp_path / "T1w.nii.gz"
        shutil.copy(next((data / "scans").glob("sub-whole*/anat/*.nii.gz")), path)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        refused(path, UnreadableScanError, "truncated", "Copy or convert it again")
