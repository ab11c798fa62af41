"""The template as a scan of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cerebatch.errors import DatasetError
from cerebatch.io.bids import find_cases
from cerebatch.io.scan import read_scan
from cerebatch.io.template_dataset import write_dataset
from cerebatch.spatial import template


def test_it_is_a_dataset_of_one_person_on_the_templates_own_grid(tmp_path: Path) -> None:
    write_dataset(tmp_path / "bids")
    (case,) = find_cases(tmp_path / "bids").cases
    scan = read_scan(case.t1w)
    image, grid = template.t1w(1)
    assert case.name == "sub-mni152"
    np.testing.assert_allclose(scan.grid.affine, grid.affine)
    np.testing.assert_allclose(scan.image / 1000, image, atol=0.001)


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="new or empty folder"):
        write_dataset(tmp_path)
