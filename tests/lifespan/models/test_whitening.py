"""The steps of whitening against the whole covariance matrix."""

from __future__ import annotations

import numpy as np
import pytest

from lifespan.grouping import Groups
from lifespan.models.whitening import Whitening, unit


def both(rho: float, site_sd: float) -> tuple[Whitening, np.ndarray]:
    """A whitening of 40 visits of people at four sites, and its covariance matrix."""
    rng = np.random.default_rng(0)
    person = np.unique(np.sort(rng.integers(0, 20, 40)), return_inverse=True)[1]
    site, sd = person // 5, np.exp(rng.normal(0.0, 0.3, 40))
    same_person, same_site = person[:, None] == person, site[:, None] == site
    within = (1 - rho) * np.eye(40) + rho * same_person
    matrix = sd[:, None] * within * sd + site_sd**2 * same_site
    return Whitening(sd, Groups(person), rho, Groups(site), site_sd), matrix


@pytest.mark.parametrize(("rho", "site_sd"), [(0.0, 0.0), (0.7, 0.0), (0.0, 1.4), (0.6, 0.9)])
class TestAgainstTheMatrix:
    def test_products_of_whitened_columns(self, rho: float, site_sd: float) -> None:
        whitening, matrix = both(rho, site_sd)
        columns = np.random.default_rng(1).normal(size=(40, 3))
        white = whitening(columns)
        np.testing.assert_allclose(white.T @ white, columns.T @ np.linalg.solve(matrix, columns), atol=1e-10)

    def test_the_determinant(self, rho: float, site_sd: float) -> None:
        whitening, matrix = both(rho, site_sd)
        assert whitening.log_determinant() == pytest.approx(np.linalg.slogdet(matrix)[1])

    def test_the_likelihood(self, rho: float, site_sd: float) -> None:
        whitening, matrix = both(rho, site_sd)
        r = np.random.default_rng(2).normal(size=40)
        assert whitening.loss(r) == pytest.approx(r @ np.linalg.solve(matrix, r) + np.linalg.slogdet(matrix)[1])


def test_shifts_of_sites_are_their_conditional_means_given_the_residuals() -> None:
    whitening, matrix = both(0.5, 1.2)
    assert whitening.sites is not None
    member = (whitening.sites.index[:, None] == np.arange(4)).astype(float)
    r = np.random.default_rng(3).normal(size=40)
    shifts, sd = whitening.site_shifts(r)
    np.testing.assert_allclose(shifts, 1.44 * member.T @ np.linalg.solve(matrix, r))
    left = 1.44 * np.eye(4) - 1.44**2 * member.T @ np.linalg.solve(matrix, member)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(left)))


def test_independent_observations_of_spread_1_stay_as_they_are() -> None:
    columns = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(unit(6)(columns), columns)
