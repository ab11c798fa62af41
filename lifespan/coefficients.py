"""Tables of the chosen curves' coefficients in years, by statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from lifespan.arrays import Floats
from lifespan.grouping import Groups, groups_of
from lifespan.measures import measured
from lifespan.models.candidate_fit import to_years
from lifespan.models.candidates import BY_NAME
from lifespan.models.curve import Curve
from lifespan.models.mean import SPLINE
from lifespan.models.model import LifespanModel
from lifespan.models.search import profile_rss
from lifespan.models.whitening import Whitening
from lifespan.people import People, fitted_rows

LEVEL = 0.95
_PROFILE_POINTS = 400


def coefficient_table(model: LifespanModel, people: People) -> pd.DataFrame:
    """Coefficients of every curve, for the table that the model was fitted to.

    The chosen curve is linearised at its estimate, and ordinary least squares of the (whitened) columns gives the
    table; the derivative by tau is one of them, so that every standard error knows that tau was estimated. The
    interval of tau is that of its profile likelihood: RSS(tau) <= RSS (1 + t^2 / (n - p)).

    Parameters
    ----------
    model : LifespanModel
    people : People
        What `fit` was given.

    Returns
    -------
    table : DataFrame
        One row a coefficient: structure, measure, group, form, term, estimate, se, t, p, ci_low, ci_high (95%), unit.
        Terms of a spline are those of its basis, and tau has no t-test.
    """
    return pd.concat([_of_curve(model, curve, people) for curve in model.curves.values()], ignore_index=True)


def tau_interval(
    curve: Curve, age: Floats, value: Floats, whitening: Whitening, level: float = LEVEL
) -> tuple[float, float]:
    """Profile-likelihood interval of tau, years; an end is that of the searched range where the profile stays above.

    Parameters
    ----------
    curve : Curve
        With growth.
    age, value : (n,) float
        What it was fitted to.
    whitening : Whitening
    level : float
    """
    mean = curve.mean
    assert mean.tau is not None
    low, high = mean.basis.tau_range(age)
    half = _PROFILE_POINTS // 2
    below = np.geomspace(min(low, mean.tau), mean.tau, half)
    tau = np.concatenate([below, np.geomspace(mean.tau, max(high, mean.tau * 1.001), half)[1:]])
    rss = profile_rss(age, value, mean.basis, whitening, BY_NAME[mean.form].degree, tau)
    freedom = len(age) - mean.parameters
    limit = rss[half - 1] * (1.0 + float(special.stdtrit(freedom, 0.5 + level / 2)) ** 2 / freedom)
    outside = np.flatnonzero(rss > limit)
    left, right = outside[outside < half - 1], outside[outside > half - 1]
    return (
        _crossing(tau, rss, limit, int(left[-1])) if len(left) else float(tau[0]),
        _crossing(tau, rss, limit, int(right[0]) - 1) if len(right) else float(tau[-1]),
    )


def whitening_of(curve: Curve, age: Floats, people: People) -> Whitening:
    """The covariance of the people that a curve was fitted to.

    Parameters
    ----------
    curve : Curve
    age : (n,) float
        Years.
    people : People
        n rows.
    """
    sd = curve.spread.sd(age)
    persons = groups_of(people.texts("participant_id"))[0] if curve.rho > 0 else None
    sites: Groups | None = None
    between = 0.0
    if curve.sites is not None:
        sites, between = groups_of(people.texts("site"))[0], curve.sites.between_sd
        sd = sd * curve.sites.lookup(people.texts("site"))[2]
    return Whitening(sd, persons, curve.rho, sites, between)


def _of_curve(model: LifespanModel, curve: Curve, people: People) -> pd.DataFrame:
    from statsmodels.api import OLS  # type: ignore[import-untyped]

    people = people.take(fitted_rows(people, curve.structure, curve.measure, curve.group))
    age, mean = people.age, curve.mean
    volume = people.volumes[curve.structure].to_numpy(dtype=np.float64)
    value = measured(curve.measure, volume, people.icv_cm3, curve.icv_exponent, model.reference_icv_cm3)
    value = curve.fitted_scale(value)
    whitening = whitening_of(curve, age, people)
    columns, estimate = mean.jacobian(age), mean.coefficients
    terms = [f"spline {k}" for k in range(len(estimate))]
    if mean.form != SPLINE:
        candidate = BY_NAME[mean.form]
        tau = np.array([np.nan if mean.tau is None else mean.tau])
        in_years, change = to_years(mean.basis, candidate, estimate[None], tau)
        columns, estimate = columns @ np.linalg.inv(change[0]), in_years[0]
        terms = list(candidate.terms)
        if mean.tau is not None:
            estimate, terms = np.append(estimate, mean.tau), [*terms, "tau"]
    linearised = value - mean.value(age) + columns @ estimate
    result = OLS(whitening(linearised[:, None])[:, 0], whitening(columns)).fit(method="qr")
    interval = np.asarray(result.conf_int(1.0 - LEVEL))
    table = pd.DataFrame(
        {
            "structure": curve.structure,
            "measure": curve.measure,
            "group": curve.group,
            "form": mean.form,
            "term": terms,
            "estimate": estimate,
            "se": result.bse,
            "t": result.tvalues,
            "p": result.pvalues,
            "ci_low": interval[:, 0],
            "ci_high": interval[:, 1],
        }
    )
    if mean.tau is not None:
        low, high = tau_interval(curve, age, value, whitening)
        table.loc[table["term"] == "tau", ["t", "p", "ci_low", "ci_high"]] = [np.nan, np.nan, low, high]
    return table


def _crossing(tau: Floats, rss: Floats, limit: float, k: int) -> float:
    """Where a profile crosses its limit between the points k and k + 1, on a logarithmic scale."""
    share = (limit - rss[k]) / (rss[k + 1] - rss[k])
    return float(np.exp(np.log(tau[k]) + share * np.log(tau[k + 1] / tau[k])))
