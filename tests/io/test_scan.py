"""What `read_scan` takes and warns of; `test_scan_refusals` has what it refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scans import RAS, SHAPE, head, saved

from cerebatch.io.scan import Scan, read_scan

ORIENTATIONS = [
    np.column_stack([axes, flips])
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def ball(volume_cm3: float, shape: tuple[int, int, int] = (90, 90, 90), edge_mm: float = 3.0) -> Any:
    """A bright ball in the middle of zeros."""
    radius = (volume_cm3 * 1000 * 3 / (4 * np.pi)) ** (1 / 3) / edge_mm
    squares = sum((axis - (n - 1) / 2) ** 2 for axis, n in zip(np.ogrid[tuple(map(slice, shape))], shape, strict=True))
    return np.where(squares < radius**2, head(shape), 0).astype(np.int16)


def warning(scan: Scan, about: str) -> str:
    """The only warning that mentions something, or nothing."""
    said = [sentence for sentence in scan.warnings if about in sentence]
    assert len(said) <= 1
    return said[0] if said else ""


class TestWhatIsRead:
    def test_an_ordinary_scan_has_no_warnings(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "T1w.nii.gz", head((72, 60, 60)), np.diag([1.5, 1.5, 1.5, 1]))
        assert read_scan(path).warnings == ()

    def test_the_image_is_float32_and_contiguous(self, tmp_path: Path) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head(), np.diag([-1.0, -1, 1, 1]) @ RAS))
        assert scan.image.dtype == np.float32
        assert scan.image.flags.c_contiguous
        assert scan.image.flags.writeable
        assert scan.grid.shape == scan.image.shape

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("T1w.nii", nib.Nifti1Image),
            ("T1w.nii.gz", nib.Nifti1Image),
            ("T1w.NII.GZ", nib.Nifti1Image),
            ("two.nii", nib.Nifti2Image),
            ("two.nii.gz", nib.Nifti2Image),
            ("T1.mgh", nib.MGHImage),
            ("T1.mgz", nib.MGHImage),
        ],
    )
    def test_every_format_gives_the_same_image(self, tmp_path: Path, name: str, kind: Callable[..., Any]) -> None:
        kind(head(), RAS).to_filename(tmp_path / name)
        scan = read_scan(str(tmp_path / name))
        np.testing.assert_array_equal(scan.image, head())
        np.testing.assert_allclose(scan.grid.affine, RAS)
        assert scan.path == tmp_path / name

    @given(
        orientation=st.sampled_from(ORIENTATIONS),
        bright=st.tuples(*(st.integers(0, n - 1) for n in SHAPE)),
        name=st.sampled_from(["T1w.nii", "T1.mgh"]),
    )
    @settings(max_examples=150, deadline=None)
    def test_the_order_of_storage_changes_neither_image_nor_positions(
        self, tmp_path_factory: pytest.TempPathFactory, orientation: Any, bright: tuple[int, int, int], name: str
    ) -> None:
        path = tmp_path_factory.getbasetemp() / name
        truth = head(dtype=np.float32)
        truth[bright] = 2000
        stored = nib.apply_orientation(truth, orientation)
        stored_affine = RAS @ nib.orientations.inv_ornt_aff(orientation, SHAPE)
        (nib.Nifti1Image if name.endswith("nii") else nib.MGHImage)(stored, stored_affine).to_filename(path)

        scan = read_scan(path)

        np.testing.assert_array_equal(scan.image, truth)
        brightest = np.unravel_index(scan.image.argmax(), scan.image.shape)
        np.testing.assert_allclose(scan.grid.affine @ [*brightest, 1], RAS @ [*bright, 1], atol=1e-4)
        assert scan.stored_grid.shape == stored.shape
        np.testing.assert_allclose(scan.stored_grid.affine, stored_affine, atol=1e-4)

    def test_a_trailing_axis_of_length_one_is_left_out(self, tmp_path: Path) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head((*SHAPE, 1))))
        assert scan.image.shape == scan.stored_grid.shape == SHAPE

    def test_big_integers_are_scaled_in_double_precision(self, tmp_path: Path) -> None:
        stored = head(dtype=np.int64) + 2**31 - 1000
        scan = read_scan(saved(tmp_path / "T1w.nii", stored.astype(np.int32), scl_slope=1, scl_inter=-(2.0**31)))
        np.testing.assert_array_equal(scan.image, head() - 1000)

    def test_the_qform_is_used_where_there_is_no_sform(self, tmp_path: Path) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head(), np.eye(4), qform=RAS, sform_code=0))
        np.testing.assert_allclose(scan.grid.affine, RAS, atol=1e-4)


class TestWhatIsWarnedOf:
    def test_storage_in_another_order(self, tmp_path: Path) -> None:
        lia = np.array([[-3.0, 0, 0, 0], [0, 0, 3, 0], [0, -3, 0, 0], [0, 0, 0, 1]])
        assert "LIA" in warning(read_scan(saved(tmp_path / "T1w.nii", head(), lia)), "stored as")

    def test_anisotropic_voxels(self, tmp_path: Path) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head((100, 100, 40)), np.diag([1.0, 1, 1.3, 1])))
        assert "1.00 x 1.00 x 1.30" in warning(scan, "anisotropic")

    @pytest.mark.parametrize(("edge", "coarse"), [(1.5, False), (2.0, True), (3.5, True)])
    def test_coarse_voxels(self, tmp_path: Path, edge: float, coarse: bool) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head((64, 64, 64)), np.diag([edge, edge, edge, 1])))
        assert bool(warning(scan, "coarse")) is coarse

    @pytest.mark.parametrize(("degrees", "oblique"), [(0.5, False), (12.0, True)])
    def test_oblique_axes(self, tmp_path: Path, degrees: float, oblique: bool) -> None:
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turned = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]]) @ RAS
        said = warning(read_scan(saved(tmp_path / "T1w.nii", head(), turned)), "oblique")
        assert ("12.0 degrees" in said) is oblique

    def test_forms_that_lie_apart(self, tmp_path: Path) -> None:
        moved = RAS.copy()
        moved[:3, 3] += [0, 3, 4]
        scan = read_scan(saved(tmp_path / "T1w.nii", head(), RAS, qform=moved))
        assert "5.0 mm" in warning(scan, "sform and qform")
        np.testing.assert_allclose(scan.grid.affine, RAS)

    def test_forms_that_agree_are_silent(self, tmp_path: Path) -> None:
        assert not warning(read_scan(saved(tmp_path / "T1w.nii", head(), RAS, qform=RAS)), "sform")

    def test_scaling_that_is_applied(self, tmp_path: Path) -> None:
        scan = read_scan(saved(tmp_path / "T1w.nii", head(), scl_slope=0.5, scl_inter=3))
        assert "slope 0.5, intercept 3" in warning(scan, "scaled")
        np.testing.assert_array_equal(scan.image, head() * 0.5 + 3)

    def test_negative_voxels(self, tmp_path: Path) -> None:
        voxels = head()
        voxels[3:5, 3, 3] = -12
        assert "2 voxels are negative, down to -12" in warning(
            read_scan(saved(tmp_path / "T1w.nii", voxels)), "negative"
        )


class TestBrainExtraction:
    def said(self, path: Path, voxels: Any, edges: tuple[float, float, float] = (3, 3, 3)) -> str:
        return warning(read_scan(saved(path, voxels, np.diag([*edges, 1]))), "brain-extracted")

    @pytest.mark.parametrize("volume_cm3", [900, 1400, 1850])
    def test_a_brain_alone_is_told_with_its_volume(self, tmp_path: Path, volume_cm3: float) -> None:
        cm3 = float(self.said(tmp_path / "T1w.nii", ball(volume_cm3)).split(":")[1].split()[0])
        assert cm3 == pytest.approx(volume_cm3, rel=0.02)

    def test_a_brain_alone_at_the_coarsest_voxels(self, tmp_path: Path) -> None:
        assert self.said(tmp_path / "T1w.nii", ball(1800, (60, 60, 60), 3.5), (3.5, 3.5, 3.5))

    def test_a_brain_in_a_tight_box(self, tmp_path: Path) -> None:
        assert self.said(tmp_path / "T1w.nii", ball(1400, (47, 47, 47)))

    @pytest.mark.parametrize("background", [-1000, 5])
    def test_a_background_other_than_zero(self, tmp_path: Path, background: int) -> None:
        brain = ball(1400)
        assert self.said(tmp_path / "T1w.nii", np.where(brain == 0, background, brain).astype(np.int16))

    def test_negative_values_inside_the_brain_change_nothing(self, tmp_path: Path) -> None:
        brain = ball(1400)
        brain[40:50, 45, 45] = -40
        assert self.said(tmp_path / "T1w.nii", brain)

    def test_a_childs_whole_head_is_none(self, tmp_path: Path) -> None:
        assert not self.said(tmp_path / "T1w.nii", ball(2000))

    def test_a_raw_scan_with_noise_around_the_head_is_none(self, tmp_path: Path) -> None:
        assert not self.said(tmp_path / "T1w.nii", head())

    def test_a_slab_that_cuts_the_head_is_none(self, tmp_path: Path) -> None:
        assert not self.said(tmp_path / "T1w.nii", ball(3000)[:, :, 35:55])

    def test_a_slab_of_a_head_padded_with_zeros_is_none(self, tmp_path: Path) -> None:
        whole = ball(3000)
        whole[:, :, :35] = whole[:, :, 55:] = 0
        assert not self.said(tmp_path / "T1w.nii", whole)


class TestRealScans:
    def test_every_good_scan_is_read_and_brain_extraction_is_told(self, data: Path) -> None:
        whole = sorted((data / "scans").glob("sub-whole*/anat/*.nii.gz"))
        extracted = sorted((data / "scans").glob("sub-[!w]*/anat/*.nii.gz"))
        assert whole
        assert extracted
        for path in whole + extracted:
            scan = read_scan(path)
            assert nib.aff2axcodes(scan.grid.affine) == ("R", "A", "S")
            assert bool(warning(scan, "brain-extracted")) is (path in extracted), path

    def test_poor_t1w_scans_pass_with_a_warning(self, data: Path) -> None:
        paths = [*(data / "scans-poor").glob("*T1W.nii.gz"), *(data / "scans-poor").glob("*T1w.nii.gz")]
        assert paths
        for path in paths:
            scan = read_scan(path)
            assert warning(scan, "coarse"), path
            assert not warning(scan, "brain-extracted"), path
            thick = scan.grid.voxel_sizes_mm.max() > 2.5
            assert bool(warning(scan, "anisotropic")) is bool(warning(scan, "oblique")) is bool(thick), path
