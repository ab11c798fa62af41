"""Estimating what makes up the spread: age, sex, visits of one person, sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import optimize

from lifespan.arrays import Bools, Floats, Ints
from lifespan.grouping import Groups
from lifespan.models.basis import AgeBasis
from lifespan.models.spread import Spread, SpreadForm
from lifespan.models.whitening import Whitening

_SMALLEST_RHO, _LARGEST_RHO = 1e-4, 0.999
_STEP = 1e-5
_PRECISION = 1e-6


@dataclass(frozen=True)
class Rows:
    """Who stands in each of n rows.

    Attributes
    ----------
    age : (n,) float
        Years.
    part : (n,) int
        Which curve the row belongs to: 0 or 1 where women and men have their own curves and share their sites.
    persons, sites : Groups or None
        Where given, visits and sites are modelled.
    inflation : (n,) float or None
        Factor of each row's spread, above 1 for those far from the curve, where residuals are Student's t.
    """

    age: Floats
    part: Ints
    persons: Groups | None = None
    sites: Groups | None = None
    inflation: Floats | None = None

    @property
    def parts(self) -> int:
        return int(self.part.max()) + 1

    def take(self, rows: Bools) -> Rows:
        """Some of the rows, groups numbered anew."""

        def again(groups: Groups | None) -> Groups | None:
            return None if groups is None else Groups(np.unique(groups.index[rows], return_inverse=True)[1])

        inflation = None if self.inflation is None else self.inflation[rows]
        return Rows(self.age[rows], self.part[rows], again(self.persons), again(self.sites), inflation)


@dataclass(frozen=True)
class Components:
    """The parts of the covariance.

    Attributes
    ----------
    spread : Spread
        Of one person within a site, first curve.
    offsets : (parts,) float
        Logarithm of each curve's spread over that; the first is 0.
    rho : float
        Correlation of two visits of one person; 0 where visits are not modelled.
    site_sd : float
        Standard deviation between sites in the unit of the volumes; 0 where sites are not modelled.
    log_scales : (sites,) float
        Logarithm of each site's own factor of the spread.
    scale_sd : float
        Standard deviation of those logarithms between sites.
    """

    spread: Spread
    offsets: Floats
    rho: float = 0.0
    site_sd: float = 0.0
    log_scales: Floats = field(default_factory=lambda: np.zeros(0))
    scale_sd: float = 0.0

    def sd(self, rows: Rows) -> Floats:
        """(n,) standard deviation within a site, the sites' own factors left out."""
        return np.asarray(self.spread.sd(rows.age) * np.exp(self.offsets[rows.part]))

    def whitening(self, rows: Rows) -> Whitening:
        """The covariance of people."""
        sd = self.sd(rows)
        if rows.sites is not None:
            sd = sd * np.exp(rows.sites.spread_out(self.log_scales))
        if rows.inflation is not None:
            sd = sd * rows.inflation
        return Whitening(sd, rows.persons, self.rho, rows.sites, self.site_sd)

    def of_some(self, rows: Rows, chosen: Bools, some: Rows) -> Whitening:
        """The covariance of some people: `some` is `rows.take(chosen)`, made once."""
        return Whitening(self.whitening(rows).sd[chosen], some.persons, self.rho, some.sites, self.site_sd)

    def spread_of(self, part: int) -> Spread:
        """The spread of one curve."""
        coefficients = self.spread.coefficients.copy()
        coefficients[0] += self.offsets[part]
        return replace(self.spread, coefficients=coefficients)


def estimate(
    rows: Rows, residuals: Floats, basis: AgeBasis, start: Components, forms: Sequence[SpreadForm]
) -> Components:
    """Maximum likelihood of the parts for given residuals; the form of the spread by BIC.

    Parameters
    ----------
    rows : Rows
    residuals : (n,) float
        Volumes less the curve, made larger by what the curve took of each (its leverage).
    basis : AgeBasis
    start : Components
        Where to begin; its `log_scales` are kept.
    forms : sequence of SpreadForm
        What to try, the simplest first.
    """
    best, best_bic = start, np.inf
    for form in forms:
        found, loss = _of_form(rows, residuals, basis, start, form)
        bic = loss + (form[0] + 1) * np.log(len(residuals))
        if bic < best_bic:
            best, best_bic = found, bic
    return best


def _of_form(
    rows: Rows, residuals: Floats, basis: AgeBasis, start: Components, form: SpreadForm
) -> tuple[Components, float]:
    """Parameters: the spread's polynomial, offsets of the further curves, logit of rho, log of the sites' spread."""
    degree, log_age = form
    unit, ends = float(residuals.std()), np.cumsum([degree + 1, rows.parts - 1, 1, 1])
    span = _LARGEST_RHO - _SMALLEST_RHO
    # Powers of age and site factors do not change with the parameters.
    columns = [*basis.powers(rows.age, degree, log_age).T]
    columns += [(rows.part == k).astype(np.float64) for k in range(1, rows.parts)]
    shape = np.column_stack(columns)
    fixed = np.zeros(len(residuals)) if rows.inflation is None else np.log(rows.inflation)
    if rows.sites is not None:
        fixed = fixed + rows.sites.spread_out(start.log_scales)

    def of(theta: Floats) -> Components:
        rho = float(_SMALLEST_RHO + span / (1 + np.exp(-theta[ends[1]]))) if rows.persons else 0.0
        site_sd = float(unit * np.exp(theta[ends[2]])) if rows.sites else 0.0
        offsets, spread = np.append(0.0, theta[ends[0] : ends[1]]), Spread(basis, theta[: ends[0]], log_age)
        return replace(start, spread=spread, offsets=offsets, rho=rho, site_sd=site_sd)

    def whitening(theta: Floats) -> Whitening:
        parts = of(theta)
        return Whitening(np.exp(shape @ theta[: ends[1]] + fixed), rows.persons, parts.rho, rows.sites, parts.site_sd)

    def loss_and_slope(theta: Floats) -> tuple[float, Floats]:
        here, slope = whitening(theta), np.zeros_like(theta)
        value = here.loss(residuals)
        by_log_sd, slope[ends[2]] = here.loss_slopes(residuals)
        slope[: ends[1]] = shape.T @ by_log_sd
        if rows.persons:
            moved = theta.copy()
            moved[ends[1]] += _STEP
            slope[ends[1]] = (whitening(moved).loss(residuals) - value) / _STEP
        return value, slope

    spread = np.zeros(degree + 1)
    spread[0] = start.spread.coefficients[0]
    if start.spread.log_age == log_age:
        kept = min(degree + 1, len(start.spread.coefficients))
        spread[:kept] = start.spread.coefficients[:kept]
    rho = np.clip(start.rho or 0.5, 0.01, 0.99)
    site = np.log(np.clip(start.site_sd / unit or 0.3, 1e-3, 10.0))
    theta = np.concatenate([spread, start.offsets[1:], [np.log(rho / (1 - rho)), site]])
    bounds = [(value - 4.0, value + 4.0) for value in theta[: ends[1]]] + [(-9.0, 9.0), (-7.0, 2.5)]
    options = {"ftol": _PRECISION}
    found = optimize.minimize(loss_and_slope, theta, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return of(found.x), float(found.fun)
