"""The six candidates against plain least squares."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize

from lifespan.models.basis import AgeBasis
from lifespan.models.candidate_fit import CandidateFit
from lifespan.models.candidates import BY_NAME, CANDIDATES, CONSTANT, Candidate
from lifespan.models.search import fit_candidates, profile_rss
from lifespan.models.whitening import unit

RNG = np.random.default_rng(5)
AGE = RNG.uniform(3.0, 88.0, 300)
VOLUMES = np.column_stack(
    [
        60 - 0.2 * AGE + 40 * (1 - np.exp(-AGE / 5)) + RNG.normal(0, 3, 300),
        80 + 0.5 * AGE - 0.008 * AGE**2 + RNG.normal(0, 3, 300),
        30 + 1.5 * AGE - 0.03 * AGE**2 + 1.8e-4 * AGE**3 + 25 * (1 - np.exp(-AGE / 3)) + RNG.normal(0, 2, 300),
    ]
)
BASIS = AgeBasis.of(AGE)
FITS = {fit.candidate.name: fit for fit in fit_candidates(AGE, VOLUMES, BASIS, unit(300))}


def columns(form: Candidate, tau: float | None = None) -> np.ndarray:
    """The columns of the formula in years."""
    powers = np.vander(AGE, form.degree + 1, increasing=True)
    return powers if tau is None else np.column_stack([powers, 1 - np.exp(-AGE / tau)])


def test_there_are_six_and_the_constant_one() -> None:
    assert list(FITS) == [form.name for form in (CONSTANT, *CANDIDATES)]
    assert [form.parameters for form in CANDIDATES] == [2, 3, 4, 4, 5, 6]


@pytest.mark.parametrize("form", [CONSTANT, *CANDIDATES[:3]])
@pytest.mark.parametrize("structure", [0, 1, 2])
def test_polynomials_are_those_of_statsmodels(form: Candidate, structure: int) -> None:
    fit, result = FITS[form.name], sm.OLS(VOLUMES[:, structure], columns(form)).fit(method="qr")
    np.testing.assert_allclose(fit.in_years[structure], result.params, rtol=1e-8)
    np.testing.assert_allclose(fit.standard_errors[structure], result.bse, rtol=1e-8)
    np.testing.assert_allclose(fit.t_test_p[structure], result.pvalues, rtol=1e-6, atol=1e-300)
    if form is not CONSTANT:
        assert fit.f_test_p(FITS["constant"].rss)[structure] == pytest.approx(result.f_pvalue, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("form", CANDIDATES[3:])
@pytest.mark.parametrize("structure", [0, 1, 2])
class TestGrowth:
    def rss(self, form: Candidate, structure: int, tau: float) -> float:
        found = np.linalg.lstsq(columns(form, tau), VOLUMES[:, structure])
        return float(((VOLUMES[:, structure] - columns(form, tau) @ found[0]) ** 2).sum())

    def test_tau_is_where_the_sum_of_squares_is_smallest(self, form: Candidate, structure: int) -> None:
        fit = FITS[form.name]
        low, high = BASIS.tau_range(AGE)
        dense = np.geomspace(low, high, 2000)
        best = dense[np.argmin([self.rss(form, structure, tau) for tau in dense])]
        assert fit.tau[structure] == pytest.approx(best, rel=0.006)
        assert fit.rss[structure] <= self.rss(form, structure, float(best)) * (1 + 1e-9)

    def test_coefficients_are_least_squares_at_that_tau(self, form: Candidate, structure: int) -> None:
        fit = FITS[form.name]
        expected = np.linalg.lstsq(columns(form, float(fit.tau[structure])), VOLUMES[:, structure])[0]
        curve = columns(form, float(fit.tau[structure]))
        np.testing.assert_allclose(curve @ fit.in_years[structure], curve @ expected, rtol=1e-9)

    def test_the_profile_is_that_of_plain_least_squares(self, form: Candidate, structure: int) -> None:
        taus = np.array([2.0, 6.0, 20.0])
        found = profile_rss(AGE, VOLUMES[:, structure], BASIS, unit(300), form.degree, taus)
        np.testing.assert_allclose(found, [self.rss(form, structure, float(tau)) for tau in taus], rtol=1e-9)


def standard_errors_of_curve_fit(fit: CandidateFit, structure: int) -> np.ndarray:
    """Standard errors of the whole non-linear fit, tau among its parameters."""

    def curve(age: np.ndarray, *theta: float) -> np.ndarray:
        *b, g, tau = theta
        return sum(c * age**k for k, c in enumerate(b)) + g * (1 - np.exp(-age / tau))

    start = [*fit.in_years[structure], fit.tau[structure]]
    _, covariance = optimize.curve_fit(curve, AGE, VOLUMES[:, structure], p0=start)
    return np.sqrt(np.diag(covariance))[:-1]


def test_standard_errors_know_that_tau_was_estimated() -> None:
    fit = FITS["linear + growth"]
    np.testing.assert_allclose(fit.standard_errors[0], standard_errors_of_curve_fit(fit, 0), rtol=1e-3)


def test_tau_at_an_end_of_its_range_is_marked() -> None:
    straight = (50 - 0.2 * AGE)[:, None] + np.random.default_rng(0).normal(0, 1, (300, 40))
    (fit,) = fit_candidates(AGE, straight, BASIS, unit(300), (BY_NAME["cubic + growth"],))
    low, high = BASIS.tau_range(AGE)
    at_end = np.isclose(fit.tau, low) | np.isclose(fit.tau, high)
    assert at_end.any() and not at_end.all()
    np.testing.assert_array_equal(fit.tau_at_limit, at_end)


def test_no_tau_is_searched_that_only_sets_the_youngest_apart() -> None:
    ages = np.concatenate([[2.0], np.linspace(30, 80, 50)])
    low, _ = AgeBasis.of(ages).tau_range(ages)
    youngest_ten = np.exp(-(np.sort(ages)[:10] - 2.0) / low)
    assert youngest_ten.min() >= np.exp(-3.0) - 1e-12


def test_structures_do_not_change_each_other() -> None:
    alone = fit_candidates(AGE, VOLUMES[:, 1:2], BASIS, unit(300))
    for fit in alone:
        np.testing.assert_allclose(fit.rss, FITS[fit.candidate.name].rss[1:2], rtol=1e-12)


def test_units_of_the_volumes_do_not_change_what_is_found() -> None:
    larger = fit_candidates(AGE, VOLUMES * 1000, BASIS, unit(300))
    for fit in larger:
        np.testing.assert_allclose(fit.t_test_p, FITS[fit.candidate.name].t_test_p, rtol=1e-4, atol=1e-280)
