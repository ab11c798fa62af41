from __future__ import annotations

import numpy as np
import pytest

from cerebatch.measures.icv import icv_cm3


def test_a_head_that_must_grow_to_fit_the_template_is_small() -> None:
    small, large = (icv_cm3(np.diag([scale, scale, scale, 1.0])) for scale in (1.2, 1.0))
    assert small < large


def test_adult_scales_give_adult_volumes() -> None:
    # Determinants of 1.1 to 1.6 are those of the heads that the line was calibrated on.
    for determinant in (1.1, 1.35, 1.6):
        assert 1300 < icv_cm3(np.diag([np.cbrt(determinant)] * 3 + [1.0])) < 1800


def test_turning_and_moving_a_head_changes_nothing() -> None:
    turn = np.array([[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, -9.0], [0.0, 0.0, 1.0, 3.0], [0.0, 0.0, 0.0, 1.0]])
    scale = np.diag([1.1, 1.05, 1.0, 1.0])
    assert icv_cm3(turn @ scale) == pytest.approx(icv_cm3(scale))
