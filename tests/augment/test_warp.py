"""Bending along a displacement, and what is measured of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebatch import _kernels
from cerebatch.augment.quality import LIMITS, Checks, check, reasons
from cerebatch.augment.warp import bend
from cerebatch.library.store import Library
from cerebatch.spatial.space import Field, jacobian, warp_labels

SHAPE = (9, 8, 7)


@given(st.integers(0, 1000))
@settings(deadline=None)
def test_labels_are_those_of_the_largest_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dseg = rng.integers(0, 4, SHAPE).astype(np.uint8)
    field = (rng.integers(-16, 17, (*SHAPE, 3)) / 8).astype(np.float32)
    points = np.moveaxis(np.indices(SHAPE), 0, -1) + field
    hats = [np.maximum(0, 1 - np.abs(points[..., [axis]] - np.arange(n))) for axis, n in enumerate(SHAPE)]
    shares = np.stack([np.einsum("xyza,xyzb,xyzc,abc->xyz", *hats, dseg == code) for code in range(4)])
    shares[0] = 1 - shares[1:].sum(axis=0)
    np.testing.assert_array_equal(warp_labels(dseg, field), shares.argmax(axis=0))


def test_labels_do_not_depend_on_the_threads() -> None:
    rng = np.random.default_rng(1)
    dseg = rng.integers(0, 27, (30, 20, 20)).astype(np.uint8)
    field = rng.normal(0, 2, (30, 20, 20, 3)).astype(np.float32)
    np.testing.assert_array_equal(warp_labels(dseg, field, 1), warp_labels(dseg, field, 4))


def test_a_field_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="field: expected the shape of source"):
        _kernels.warp_labels(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3, 2, 3), np.float32), 1)


def test_the_jacobian_of_a_linear_field_is_its_determinant() -> None:
    matrix = np.array([[0.2, 0.1, 0.0], [0.0, -0.3, 0.05], [0.1, 0.0, 0.4]])
    field = (np.moveaxis(np.indices(SHAPE), 0, -1) @ matrix.T).astype(np.float32)
    np.testing.assert_allclose(jacobian(field), np.linalg.det(np.eye(3) + matrix), rtol=1e-5)


def test_no_displacement_changes_nothing(small_library: Library) -> None:
    field = np.zeros((*small_library.grid.shape, 3), dtype=np.float32)
    bent = bend(small_library, 3, field)
    np.testing.assert_allclose(bent.image[1], small_library.image(3, "T2w"), atol=0.05)
    np.testing.assert_array_equal(bent.dseg, small_library.dseg(3))
    np.testing.assert_array_equal(bent.tissue, small_library.tissue(3))


def checks_of(library: Library, field: Field) -> Checks:
    case, labels, bent = library.image(0, "T1w"), library.dseg(0), bend(library, 0, field)
    region = np.asarray(case > 0)
    return check(case, case, labels, bent, field, region, library.grid.voxel_volume_mm3)


def test_a_fold_is_set_aside(small_library: Library) -> None:
    field = np.zeros((*small_library.grid.shape, 3), dtype=np.float32)
    field[..., 0] = field.shape[0] - 1 - 2 * np.indices(field.shape[:3])[0]  # left and right exchanged
    assert any("the deformation folds" in reason for reason in reasons(checks_of(small_library, field)))


def test_labels_that_leave_the_box_are_set_aside(small_library: Library) -> None:
    field = np.zeros((*small_library.grid.shape, 3), dtype=np.float32)
    field[..., 0] = 10
    assert any("cut off by the faces" in reason for reason in reasons(checks_of(small_library, field)))


def test_an_undisturbed_case_is_good_and_each_limit_can_be_passed(small_library: Library) -> None:
    good = checks_of(small_library, np.zeros((*small_library.grid.shape, 3), dtype=np.float32))
    assert reasons(good) == []
    assert good.volume_before_cm3 == good.volume_after_cm3
    for limit in LIMITS:
        beyond = limit.high + 1 if np.isfinite(limit.high) else limit.low - 0.1
        (reason,) = reasons(replace(good, **{limit.figure: beyond}))
        assert limit.says in reason
