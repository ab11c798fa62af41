"""Bounds, z-scores and intervals of one curve."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from lifespan.coefficients import tau_interval
from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import BY_NAME
from lifespan.models.curve import Curve
from lifespan.models.mean import MeanCurve
from lifespan.models.paper_fit import fit_paper
from lifespan.models.prediction import Prediction
from lifespan.models.search import fit_candidates
from lifespan.models.shape import Shape
from lifespan.models.shape_fit import fit_shape, shape_loss
from lifespan.models.whitening import unit

RNG = np.random.default_rng(3)
AGE = RNG.uniform(10.0, 80.0, 60)
LINEAR = 60 - 0.3 * AGE + RNG.normal(0, 4, 60)
NEW = np.array([12.0, 45.0, 79.0])


def curve(volume: np.ndarray) -> Curve:
    (fitted,) = fit_paper(["x"], "absolute", "all", AGE, volume[:, None])
    return fitted


class TestBounds:
    def test_of_a_straight_line_they_are_those_of_statsmodels(self) -> None:
        fitted = curve(LINEAR)
        assert fitted.mean.form == "linear"
        result = sm.OLS(LINEAR, sm.add_constant(AGE)).fit().get_prediction(sm.add_constant(NEW)).summary_frame()
        lower, upper = fitted.predict(NEW).bounds()
        np.testing.assert_allclose(lower, result["obs_ci_lower"], rtol=1e-9)
        np.testing.assert_allclose(upper, result["obs_ci_upper"], rtol=1e-9)

    def test_with_growth_they_hold_the_uncertainty_of_tau(self) -> None:
        age = np.linspace(2.0, 80.0, 120)
        volume = 30 - 0.1 * age + 40 * (1 - np.exp(-age / 5)) + np.random.default_rng(1).normal(0, 2, 120)
        fits = fit_candidates(age, volume[:, None], AgeBasis.of(age), unit(120), (BY_NAME["linear + growth"],))
        mean = MeanCurve.of(fits[0], 0, AgeBasis.of(age))
        at = np.array([4.0])
        step, changes = 1e-4, []
        for k in range(4):
            moved = np.append(mean.coefficients, mean.tau)
            moved[k] += step
            other = MeanCurve(mean.form, mean.basis, moved[:-1], mean.covariance, float(moved[-1]))
            changes.append((other.value(at) - mean.value(at))[0] / step)
        np.testing.assert_allclose(mean.jacobian(at)[0], changes, rtol=1e-3)
        slope = np.array(changes)
        assert mean.variance(at)[0] == pytest.approx(slope @ mean.covariance @ slope, rel=1e-3)


class TestPrediction:
    PREDICTED = Prediction(np.array([50.0]), np.array([4.0]), 20.0)

    def test_the_bounds_lie_at_the_centiles_2_5_and_97_5(self) -> None:
        for bound, centile in zip(self.PREDICTED.bounds(), (2.5, 97.5), strict=True):
            assert self.PREDICTED.centile(bound)[0] == pytest.approx(centile)

    @pytest.mark.parametrize("volume", [10.0, 45.0, 50.0, 58.0, 80.0])
    def test_z_is_the_normal_quantile_of_the_t_distributed_centile(self, volume: float) -> None:
        expected = stats.norm.ppf(stats.t.cdf((volume - 50) / 4, 20))
        assert self.PREDICTED.z(np.array([volume]))[0] == pytest.approx(expected, abs=1e-9)

    def test_z_stays_finite_far_outside(self) -> None:
        far = self.PREDICTED.z(np.array([-1e6, 1e6]))
        assert np.isfinite(far).all() and far[0] < -10 < 10 < far[1]

    def test_the_density_is_that_of_t(self) -> None:
        expected = stats.t.logpdf(56, 20, loc=50, scale=4)
        assert self.PREDICTED.log_density(np.array([56.0]))[0] == pytest.approx(expected)


class TestShape:
    SHAPE = Shape(0.2, 1.1, 0.4, 0.8)

    def test_quantile_undoes_the_score(self) -> None:
        z = np.linspace(-4, 4, 9)
        np.testing.assert_allclose(self.SHAPE.normal_score(self.SHAPE.quantile(z)), z, atol=1e-10)

    def test_the_density_is_the_slope_of_the_centile(self) -> None:
        x, step = np.linspace(-3, 5, 7), 1e-5
        up, down = (stats.norm.cdf(self.SHAPE.normal_score(x + s)) for s in (step, -step))
        np.testing.assert_allclose(np.exp(self.SHAPE.log_density(x)), (up - down) / (2 * step), rtol=1e-5)

    def test_the_likelihood_and_its_slopes_are_those_of_the_density(self) -> None:
        rng = np.random.default_rng(5)
        x, t, theta = rng.normal(size=300), rng.uniform(-1, 1, 300), np.array([0.1, 0.05, 0.3, -0.2, 0.2])
        shape = Shape(0.1, float(np.exp(0.05)), 0.3, float(np.exp(-0.2)), 0.2)
        loss, slopes = shape_loss(theta, x, t)
        assert loss == pytest.approx(-shape.at(t).log_density(x).mean(), abs=1e-12)
        steps = 1e-5 * np.eye(5)
        numeric = [(shape_loss(theta + s, x, t)[0] - shape_loss(theta - s, x, t)[0]) / 2e-5 for s in steps]
        np.testing.assert_allclose(slopes, numeric, atol=1e-8)

    def test_normal_residuals_stay_normal(self) -> None:
        assert fit_shape(np.random.default_rng(0).normal(size=2000)) is None

    def test_skewed_residuals_get_their_centiles(self) -> None:
        x = self.SHAPE.quantile(np.random.default_rng(0).normal(size=4000))
        found = fit_shape(x)
        assert found is not None
        for share in (0.025, 0.5, 0.975):
            z = stats.norm.ppf(share)
            assert found.quantile(z) == pytest.approx(float(self.SHAPE.quantile(z)), abs=0.25)


class TestTau:
    def test_its_interval_is_where_the_profile_reaches_the_limit(self) -> None:
        rng = np.random.default_rng(2)
        age = rng.uniform(2.0, 80.0, 200)
        volume = 40 - 0.15 * age + 30 * (1 - np.exp(-age / 6)) + rng.normal(0, 3, 200)
        (fitted,) = fit_paper(["x"], "absolute", "all", age, volume[:, None])
        assert fitted.mean.form == "linear + growth"
        low, high = tau_interval(fitted, age, volume, unit(200))

        def rss(tau: float) -> float:
            columns = np.column_stack([np.ones(200), age, 1 - np.exp(-age / tau)])
            return float(((volume - columns @ np.linalg.lstsq(columns, volume)[0]) ** 2).sum())

        assert fitted.mean.tau is not None
        limit = rss(fitted.mean.tau) * (1 + stats.t.ppf(0.975, 196) ** 2 / 196)
        assert low < fitted.mean.tau < high
        assert rss(low) == pytest.approx(limit, rel=1e-3)
        assert rss(high) == pytest.approx(limit, rel=1e-3)
