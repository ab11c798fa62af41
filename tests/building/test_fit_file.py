"""Fits are kept as numbers: a file that somebody put there runs nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from cerebatch.building.fit import Fit
from cerebatch.building.fit_file import read_fit, write_fit
from cerebatch.spatial.space import cerebellum_box


class Evil:
    """Touches a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    grid = cerebellum_box(4.0)
    field = np.random.default_rng(1).normal(size=(*grid.shape, 3)).astype(np.float32)
    write_fit(tmp_path / "a.npz", Fit(np.diag([1.1, 1.2, 1.3, 1.0]), field, grid, 0.87))
    found = read_fit(tmp_path / "a.npz")
    assert found is not None
    assert (found.overlap, found.grid.shape) == (0.87, grid.shape)
    for made, expected in ((found.field, field), (found.grid.affine, grid.affine)):
        np.testing.assert_array_equal(made, expected)
    assert found.field.dtype == np.float32


@pytest.mark.parametrize("inside", ["a pickle", "an array of objects", "half of a file"])
def test_what_was_put_there_runs_nothing_and_is_no_fit(tmp_path: Path, inside: str) -> None:
    path, mark = tmp_path / "a.npz", tmp_path / "ran"
    if inside == "a pickle":
        path.write_bytes(pickle.dumps(Evil(mark)))
    elif inside == "an array of objects":
        np.savez(path, shape=np.array([Evil(mark)], dtype=object))
    else:
        np.savez(path, shape=np.ones(1000))
        path.write_bytes(path.read_bytes()[:500])
    assert read_fit(path) is None
    assert not mark.exists()


def test_what_is_not_there_is_no_fit(tmp_path: Path) -> None:
    assert read_fit(tmp_path / "none.npz") is None
