from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.errors import LabelMapError
from cerebatch.io.files import write_image
from cerebatch.measures.volumes import counted_cm3
from cerebatch.spatial.space import Grid, cerebellum_box
from cerebatch.stages.segment import segment_by_case


@pytest.mark.parametrize("resolution", [0.5, 1.0, 4.0])
def test_the_labelled_case_is_carried_to_the_grid_of_the_run(
    labelled_case: Path, tmp_path: Path, resolution: float
) -> None:
    segment_by_case(labelled_case, tmp_path, resolution=resolution)
    image = nib.load(tmp_path / "dseg.nii.gz")
    assert image.shape == cerebellum_box(resolution).shape
    np.testing.assert_allclose(image.affine, cerebellum_box(resolution).affine)
    case = nib.load(labelled_case)
    before = counted_cm3(np.asanyarray(case.dataobj), 1.0)
    after = counted_cm3(np.asanyarray(image.dataobj), resolution**3)
    assert sum(after.values()) == pytest.approx(sum(before.values()), rel=0.03)
    for code, volume in before.items():
        if volume > 3:
            assert after[code] == pytest.approx(volume, rel=0.1)


def test_the_bytes_do_not_depend_on_the_threads(labelled_case: Path, tmp_path: Path) -> None:
    written = []
    for threads in (1, 2):
        segment_by_case(labelled_case, tmp_path, resolution=0.5, threads=threads)
        written.append((tmp_path / "dseg.nii.gz").read_bytes())
    assert written[0] == written[1]


def test_a_map_in_another_space_is_refused_with_the_share_outside(tmp_path: Path) -> None:
    box = cerebellum_box(4.0)
    dseg = np.ones(box.shape, dtype=np.uint8)
    write_image(tmp_path / "native.nii.gz", dseg, Grid(box.shape, np.diag([4.0, 4.0, 4.0, 1.0])), "native")
    with pytest.raises(LabelMapError, match=r"native\.nii\.gz: expected all labels inside .* labelled voxels outside"):
        segment_by_case(tmp_path / "native.nii.gz", tmp_path)


@pytest.mark.parametrize(("code", "found"), [(27, "codes 0 to 27"), (0, "codes 0 to 0")])
def test_a_map_outside_the_protocol_is_refused(tmp_path: Path, code: int, found: str) -> None:
    box = cerebellum_box(4.0)
    dseg = np.zeros(box.shape, dtype=np.uint8)
    dseg[10, 10, 10] = code
    write_image(tmp_path / "map.nii.gz", dseg, box, "MNI")
    with pytest.raises(LabelMapError, match=found):
        segment_by_case(tmp_path / "map.nii.gz", tmp_path)


def test_a_map_of_fractions_is_refused(tmp_path: Path) -> None:
    box = cerebellum_box(4.0)
    write_image(tmp_path / "map.nii.gz", np.full(box.shape, 0.5, dtype=np.float32), box, "MNI")
    with pytest.raises(LabelMapError, match="three axes of whole numbers"):
        segment_by_case(tmp_path / "map.nii.gz", tmp_path)
