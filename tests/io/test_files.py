"""What we write, read back by others."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch.io.files import Frame, write_image, write_json, write_label_table, write_rows
from cerebatch.labels import LABELS
from cerebatch.spatial.ants_bridge import write_affine
from cerebatch.spatial.space import Affine, Grid, apply, cerebellum_box

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
one_folder_for_all_examples = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def affines(draw: st.DrawFn, shear: float) -> Affine:
    """Rotation, voxel sizes, a shift, and shear up to a bound."""
    angles = draw(hnp.arrays(np.float64, 3, elements=st.floats(-np.pi, np.pi)))
    sizes = draw(hnp.arrays(np.float64, 3, elements=st.floats(0.4, 4)))
    sheared = np.eye(3) + np.triu(draw(hnp.arrays(np.float64, (3, 3), elements=st.floats(-shear, shear))), 1)
    shift = draw(hnp.arrays(np.float64, 3, elements=st.floats(-200, 200)))
    return np.asarray(nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(sizes) @ sheared, shift))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestImages:
    @pytest.mark.parametrize(("frame", "code"), [("native", 1), ("MNI", 4)])
    def test_sform_and_qform_say_which_frame(self, tmp_path: Path, frame: Frame, code: int) -> None:
        grid = cerebellum_box(4.0)
        write_image(tmp_path / "x.nii.gz", np.zeros(grid.shape, dtype=np.uint8), grid, frame)
        header = nib.load(tmp_path / "x.nii.gz").header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (code, code)

    def test_lengths_are_in_millimetres(self, tmp_path: Path) -> None:
        grid = cerebellum_box(4.0)
        write_image(tmp_path / "x.nii", np.zeros(grid.shape, dtype=np.uint8), grid, "MNI")
        assert nib.load(tmp_path / "x.nii").header.get_xyzt_units()[0] == "mm"

    @given(shape=st.tuples(*[st.integers(1, 6)] * 3), affine=affines(shear=0.3))
    @one_folder_for_all_examples
    def test_the_grid_comes_back(self, tmp_path: Path, shape: tuple[int, int, int], affine: Affine) -> None:
        write_image(tmp_path / "x.nii", np.zeros(shape, dtype=np.uint8), Grid(shape, affine), "native")
        read = Grid.of(nib.load(tmp_path / "x.nii"))
        assert read.shape == shape
        np.testing.assert_allclose(read.affine, affine, rtol=1e-6, atol=1e-5)

    @given(affine=affines(shear=0))
    @one_folder_for_all_examples
    def test_a_reader_of_the_qform_sees_the_same_grid(self, tmp_path: Path, affine: Affine) -> None:
        write_image(tmp_path / "x.nii", np.zeros((2, 2, 2), dtype=np.uint8), Grid((2, 2, 2), affine), "native")
        # The format keeps three parts of a quaternion in float32; near half a turn the fourth has few digits left.
        np.testing.assert_allclose(nib.load(tmp_path / "x.nii").get_qform(), affine, atol=8e-3)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
    def test_voxels_are_stored_in_their_own_type_without_scaling(self, tmp_path: Path, dtype: Any) -> None:
        voxels = np.arange(24).reshape(2, 3, 4).astype(dtype)
        write_image(tmp_path / "x.nii.gz", voxels, Grid((2, 3, 4), np.eye(4)), "native")
        image = nib.load(tmp_path / "x.nii.gz")
        assert image.get_data_dtype() == dtype
        assert (image.dataobj.slope, image.dataobj.inter) == (1.0, 0.0)
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), voxels)

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
    def test_the_same_content_is_the_same_bytes_whatever_the_file_is_called(self, tmp_path: Path, suffix: str) -> None:
        grid = cerebellum_box(4.0)
        voxels = np.random.default_rng(1).integers(0, 27, grid.shape).astype(np.uint8)
        first, second = tmp_path / f"first{suffix}", tmp_path / "elsewhere" / f"second{suffix}"
        write_image(first, voxels, grid, "MNI")
        write_image(second, np.asfortranarray(voxels), grid, "MNI")
        assert sha256(first) == sha256(second)

    def test_the_time_of_writing_is_not_in_the_file(self, tmp_path: Path) -> None:
        write_image(tmp_path / "x.nii.gz", np.zeros((2, 2, 2), dtype=np.uint8), Grid((2, 2, 2), np.eye(4)), "MNI")
        with gzip.open(tmp_path / "x.nii.gz") as stream:
            stream.read()
            assert stream.mtime == 0

    def test_folders_on_the_way_are_made(self, tmp_path: Path) -> None:
        write_image(
            tmp_path / "a" / "b" / "x.nii", np.zeros((1, 1, 1), dtype=np.uint8), Grid((1, 1, 1), np.eye(4)), "MNI"
        )
        assert (tmp_path / "a" / "b" / "x.nii").is_file()


class TestAffines:
    @given(affine=affines(shear=0.3), points=hnp.arrays(np.float64, (4, 3), elements=st.floats(-150, 150)))
    @settings(one_folder_for_all_examples, max_examples=25)
    def test_ants_maps_points_as_the_matrix_does(
        self, tmp_path: Path, affine: Affine, points: NDArray[np.float64]
    ) -> None:
        import ants

        write_affine(tmp_path / "xfm.txt", affine)
        transform = ants.read_transform(str(tmp_path / "xfm.txt"))
        mapped = np.array([transform.apply_to_point(list(point)) for point in apply(LPS_FROM_RAS, points)])
        np.testing.assert_allclose(apply(LPS_FROM_RAS, mapped), apply(affine, points), atol=1e-3)

    @given(affine=affines(shear=0.3))
    @one_folder_for_all_examples
    def test_a_plain_reading_gives_the_matrix_back_to_the_last_digit(self, tmp_path: Path, affine: Affine) -> None:
        write_affine(tmp_path / "xfm.txt", affine)
        fields = dict(line.split(": ") for line in (tmp_path / "xfm.txt").read_text().splitlines() if ": " in line)
        numbers = np.array(fields["Parameters"].split(), dtype=float)
        lps = nib.affines.from_matvec(numbers[:9].reshape(3, 3), numbers[9:])
        np.testing.assert_array_equal(LPS_FROM_RAS @ lps @ LPS_FROM_RAS, affine)
        assert fields["FixedParameters"] == "0 0 0"

    def test_ants_resamples_as_we_do(self, tmp_path: Path) -> None:
        import ants

        from cerebatch.spatial.ants_bridge import to_ants
        from cerebatch.spatial.space import resample

        source, target = Grid((20, 22, 24), np.diag([-2.0, 2.0, 2.0, 1.0])), Grid((12, 12, 12), np.diag([3.0, 3, 3, 1]))
        source_from_target = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.2, 0.1, -0.1), [-30, 6, 5])
        x, y, z = np.indices(source.shape)
        image = (100 + 3 * x - 2 * y + z).astype(np.float32)
        write_affine(tmp_path / "xfm.txt", source_from_target)
        theirs = ants.apply_transforms(
            to_ants(np.zeros(target.shape), target), to_ants(image, source), [str(tmp_path / "xfm.txt")], "linear"
        ).numpy()
        ours = resample(image, source, target, source_from_target, order=1)
        inside = resample(np.ones_like(image), source, target, source_from_target, order=1) > 0.999
        assert inside.mean() > 0.2
        np.testing.assert_allclose(theirs[inside], ours[inside], atol=1e-2)


class TestTables:
    def test_the_first_row_names_the_columns_and_a_tab_stands_between(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "t.tsv", [{"name": "Crus I", "volume": "1.5"}, {"name": "X", "volume": "n/a"}])
        assert (tmp_path / "t.tsv").read_bytes() == b"name\tvolume\nCrus I\t1.5\nX\tn/a\n"

    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {name: st.text(st.characters(codec="utf-8", exclude_characters="\r\0")) for name in "ab"}
            ),
            min_size=1,
        )
    )
    @one_folder_for_all_examples
    def test_any_text_comes_back(self, tmp_path: Path, rows: list[dict[str, str]]) -> None:
        write_rows(tmp_path / "t.tsv", rows)
        with (tmp_path / "t.tsv").open(newline="") as stream:
            assert list(csv.DictReader(stream, delimiter="\t")) == rows

    def test_rows_may_come_from_a_generator(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "deep" / "t.tsv", ({"n": n} for n in range(3)))
        assert (tmp_path / "deep" / "t.tsv").read_text() == "n\n0\n1\n2\n"

    def test_a_row_with_another_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="extra"):
            write_rows(tmp_path / "t.tsv", [{"a": 1}, {"a": 1, "extra": 2}])

    def test_the_table_of_labels_has_the_columns_that_bids_asks_for(self, tmp_path: Path) -> None:
        write_label_table(tmp_path / "dseg.tsv")
        with (tmp_path / "dseg.tsv").open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        assert list(rows[0]) == ["index", "name", "abbreviation", "color"]
        assert [(int(row["index"]), row["name"]) for row in rows] == [(label.index, label.name) for label in LABELS]


class TestSidecars:
    def test_json_keeps_the_order_of_the_keys_and_ends_with_a_newline(self, tmp_path: Path) -> None:
        write_json(tmp_path / "deep" / "x.json", {"b": 1, "a": [1.5, None, "n/a"]})
        text = (tmp_path / "deep" / "x.json").read_text()
        assert text.endswith("}\n")
        assert list(json.loads(text)) == ["b", "a"]

    @given(
        content=st.dictionaries(st.text(), st.recursive(st.integers() | st.text() | st.none(), st.lists, max_leaves=5))
    )
    @one_folder_for_all_examples
    def test_json_comes_back(self, tmp_path: Path, content: dict[str, Any]) -> None:
        write_json(tmp_path / "x.json", content)
        assert json.loads((tmp_path / "x.json").read_text()) == content
