"""What a library may look like on disk, and its previews."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from cerebatch.errors import LibraryError
from cerebatch.library.layout import open_store, preview, variables
from cerebatch.spatial import space

GRID = space.cerebellum_box(4.0)


def test_a_shard_is_a_case_and_a_chunk_a_channel_of_it(finished: Path) -> None:
    image = zarr.open_group(finished, mode="r")["image"]
    assert isinstance(image, zarr.Array)
    assert (image.chunks, image.shards) == ((1, 1, *GRID.shape), (1, 2, *GRID.shape))
    for variable in variables(GRID):
        files = [file for file in (finished / variable / "c").rglob("*") if file.is_file()]
        assert len(files) == 4


@pytest.mark.parametrize(("resolution", "edge"), [(1.0, 2), (0.5, 4)])
def test_a_preview_voxel_is_the_mean_of_its_2_mm(resolution: float, edge: int) -> None:
    image = np.random.default_rng(3).uniform(0, 500, (8, 4, 12)).astype(np.float32)
    small = preview(image, resolution)
    assert small.shape == tuple(n // edge for n in image.shape)
    assert small[1, 0, 2] == pytest.approx(image[edge : 2 * edge, :edge, 2 * edge : 3 * edge].mean(), rel=1e-6)


def test_what_is_no_store_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("text")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "zarr.json").write_text("{")
    zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    for name in ("folder", "text", "torn", "old.zarr"):
        with pytest.raises(LibraryError, match=f"{name}: expected a library.*no Zarr store"):
            open_store(tmp_path / name)
    with pytest.raises(LibraryError, match="no such folder"):
        open_store(tmp_path / "nowhere")


def test_a_store_of_somebody_else_is_not_opened(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "foreign.zarr", zarr_format=3)
    with pytest.raises(LibraryError, match="a Zarr store of schema None"):
        open_store(tmp_path / "foreign.zarr")


def set_attribute(path: Path, name: str, value: object) -> None:
    content = json.loads((path / "zarr.json").read_text())
    content["attributes"][name] = value
    (path / "zarr.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("version", 2, "found version 2. It was made by a newer cerebatch: update yours"),
        ("version", 0, "found version 0. Build the library anew"),
        ("resolution_mm", 2.0, "found resolution 2.0 mm"),
        ("affine", np.eye(4).tolist(), "expected the cerebellum box"),
    ],
)
def test_another_version_or_box_is_not_opened(damaged: Path, attribute: str, value: object, message: str) -> None:
    set_attribute(damaged, attribute, value)
    with pytest.raises(LibraryError, match=message):
        open_store(damaged)


def test_a_store_without_one_of_its_arrays_is_not_opened(damaged: Path) -> None:
    del zarr.open_group(damaged, mode="r+", use_consolidated=False)["lobules"]
    content = json.loads((damaged / "zarr.json").read_text())
    content["consolidated_metadata"] = None
    (damaged / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(LibraryError, match="found none named lobules"):
        open_store(damaged)
