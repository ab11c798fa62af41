"""Sites' own factors of the spread."""

from __future__ import annotations

import numpy as np
import pytest

from lifespan.grouping import Groups
from lifespan.models.site_scales import LARGEST_SCALE_SD, site_scales


def drawn(between: float, sites: int, people: int, seed: int) -> tuple[np.ndarray, Groups, np.ndarray]:
    """Standardised residuals of sites whose logarithms of factors vary by `between`, the sites, those logarithms."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(0.0, between, sites)
    index = np.repeat(np.arange(sites), people)
    return np.exp(logs[index]) * rng.normal(size=sites * people), Groups(index), logs


def test_the_spread_between_sites_is_found_and_chance_is_not_taken_for_it() -> None:
    found = [site_scales(*drawn(0.25, 60, 40, seed)[:2])[1] for seed in range(8)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.03)
    nothing = [site_scales(*drawn(0.0, 60, 40, seed)[:2])[1] for seed in range(8)]
    assert np.mean(nothing) < 0.04


def test_factors_are_drawn_towards_1_by_what_chance_does() -> None:
    residuals, sites, logs = drawn(0.25, 200, 15, 1)
    factors, between = site_scales(residuals, sites)
    noise = np.sqrt(2.0 / 15) / 2
    assert np.std(factors) == pytest.approx(between**2 / np.hypot(between, noise), rel=0.2)
    assert np.polyfit(factors, logs, 1)[0] == pytest.approx(1.0, abs=0.2)


def test_one_wrong_value_makes_no_sites_that_differ_without_end() -> None:
    residuals, sites, _ = drawn(0.1, 20, 12, 1)
    residuals[5] = 300.0
    factors, between = site_scales(residuals, sites)
    assert between <= LARGEST_SCALE_SD
    assert np.isfinite(factors).all()


def test_the_spread_between_sites_has_a_cap() -> None:
    _, between = site_scales(*drawn(2.0, 20, 40, 1)[:2])
    assert between == pytest.approx(LARGEST_SCALE_SD)
