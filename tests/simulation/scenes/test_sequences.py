"""Signal equations, against the magnetisation followed excitation by excitation."""

from __future__ import annotations

import numpy as np
import pytest

from cerebatch.simulation.scenes.scene import MATERIALS
from cerebatch.simulation.scenes.sequences import (
    TYPICAL,
    GradientEcho,
    QualityInputs,
    SpinEcho,
    drawn_materials,
    drawn_t1w,
    drawn_t2w,
    signals,
)


@pytest.mark.parametrize("name", ["fluid", "grey", "white", "fat"])
def test_the_steady_state_is_what_many_periods_come_to(name: str) -> None:
    echo, material = GradientEcho(2300.0, 1000.0, 9.0), TYPICAL[name]
    cosine, sine = np.cos(np.radians(9.0)), np.sin(np.radians(9.0))
    longitudinal, seen = 1.0, 0.0
    for _ in range(60):
        longitudinal = 1 + (-longitudinal - 1) * np.exp(-(1000.0 - 80 * 7.0) / material.t1_ms)
        for excitation in range(160):
            if excitation == 80:
                seen = longitudinal * sine
            longitudinal = 1 + (longitudinal * cosine - 1) * np.exp(-7.0 / material.t1_ms)
        longitudinal = 1 + (longitudinal - 1) * np.exp(-(2300.0 - 1000.0 - 80 * 7.0) / material.t1_ms)
    assert echo.signal(material) == pytest.approx(material.density * abs(seen), rel=1e-9)


def test_a_spin_echo_loses_what_decays_until_the_echo() -> None:
    assert SpinEcho(1e9, 100.0).signal(QualityInputs(1000, 100, 0.5)) == pytest.approx(0.5 / np.e)
    assert SpinEcho(1000.0, 0.0).signal(QualityInputs(1000, 100, 1.0)) == pytest.approx(1 - 1 / np.e)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_sequences_show_the_contrast_they_are_named_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    materials = drawn_materials(rng)
    t1w = dict(zip(MATERIALS, signals(drawn_t1w(rng), materials), strict=True))
    t2w = dict(zip(MATERIALS, signals(drawn_t2w(rng), materials), strict=True))
    assert t1w["fluid"] < 0.6 * t1w["grey"] < 0.6 * t1w["white"]
    assert t2w["white"] < t2w["grey"] < 0.8 * t2w["fluid"]
    assert t1w["white"] == t2w["white"] == 1
    assert t1w["air"] == t2w["air"] == 0
