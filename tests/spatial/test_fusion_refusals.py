"""What `fuse` and `warp_and_fuse` refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cerebatch import _kernels
from cerebatch.spatial.fusion import fuse, warp_and_fuse

GOOD: dict[str, Any] = {
    "target": np.zeros((4, 4, 4), dtype=np.float32),
    "images": [np.zeros((4, 4, 4), dtype=np.float32)] * 2,
    "labels": [np.zeros((4, 4, 4), dtype=np.uint8)] * 2,
    "fields": [np.zeros((4, 4, 4, 3), dtype=np.float32)] * 2,
    "d": 0.5,
    "threads": 1,
}  # fmt: skip


def field_of(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("target", field_of(4, 4), ValueError, "target: expected 3 dimensions, found 2"),
        ("target", field_of(4, 4, 5), ValueError, r"images\[0\]: expected shape \(4, 4, 5\), found \(4, 4, 4\)"),
        ("target", field_of(4, 4, 4).astype(float), TypeError, "target: expected float32, found float64"),
        ("target", [[[0.0]]], TypeError, "target: expected an array, found list"),
        ("images", [], ValueError, "images: expected at least 1, found 0"),
        ("images", [field_of(4, 4, 4)] * 3, ValueError, "labels: expected as many as images, 3, found 2"),
        ("images", [field_of(4, 4, 4), field_of(4, 4)], ValueError, r"images\[1\]: expected shape"),
        ("labels", [field_of(4, 4, 4)] * 2, TypeError, r"labels\[0\]: expected uint8, found float32"),
        ("labels", [np.zeros((4, 4, 3), dtype=np.uint8)] * 2, ValueError, r"labels\[0\]: expected shape"),
        ("fields", [field_of(4, 4, 4, 3)], ValueError, "fields: expected as many as images, 2, found 1"),
        ("fields", [field_of(4, 4, 4)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(4, 4, 4, 2)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(4, 4, 2, 3)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(3, 3, 3, 3)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(8, 8, 8, 3)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(0, 0, 0, 3)] * 2, ValueError, r"fields\[0\]: expected"),
        ("fields", [field_of(4, 4, 4, 3), field_of(2, 2, 2, 3)], ValueError, r"fields\[1\]: expected shape"),
        ("fields", [np.zeros((4, 4, 4, 3))] * 2, TypeError, r"fields\[0\]: expected float32, found float64"),
        ("d", -0.5, ValueError, "d: expected a finite number of at least 0, found -0.5"),
        ("d", np.nan, ValueError, "d: expected a finite number of at least 0, found nan"),
        ("d", np.inf, ValueError, "d: expected a finite number of at least 0, found inf"),
        ("threads", 0, ValueError, "threads: expected at least 1, found 0"),
    ],
)
def test_wrong_arguments_are_refused(name: str, value: Any, error: type[Exception], message: str) -> None:
    arguments = {**GOOD, name: value}
    with pytest.raises(error, match=message):
        warp_and_fuse(**arguments)
    # The kernels check sizes too, whoever calls them; they say less.
    with pytest.raises((ValueError, TypeError)):
        _kernels.warp_and_fuse(**arguments, factor=1)
    if name != "fields":
        del arguments["fields"]
        with pytest.raises(error, match=message):
            fuse(**arguments)
        with pytest.raises((ValueError, TypeError)):
            _kernels.fuse(**arguments)


@pytest.mark.parametrize("factor", [0, -1, 2, 3])
def test_a_factor_that_does_not_fit_is_refused(factor: int) -> None:
    with pytest.raises(ValueError, match=r"factor|divides|fields"):
        _kernels.warp_and_fuse(**GOOD, factor=factor)
