"""Fitting one curve with whatever `ModelChoice` asks for: mean and spread in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lifespan.arrays import Bools, Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.between import between_sites, joint_uncertainty
from lifespan.models.candidates import BY_NAME, CANDIDATES, CONSTANT
from lifespan.models.choice import ModelChoice
from lifespan.models.components import Components, Rows, estimate
from lifespan.models.correlation import fit_correlation
from lifespan.models.curve import Curve
from lifespan.models.decisions import Decision, choose
from lifespan.models.mean import SPLINE, MeanCurve
from lifespan.models.search import fit_candidates
from lifespan.models.shape import Shape, fit_shape
from lifespan.models.site_scales import log_variance_sampling, site_scales
from lifespan.models.sites import SiteEffects
from lifespan.models.spline import Knots, fit_spline, knot_candidates
from lifespan.models.spread import CONSTANT_SPREAD, SPREAD_FORMS, Spread
from lifespan.models.tails import FAR, START, inflation, likeliest_freedom, robust_sd
from lifespan.models.whitening import Whitening

_TURNS = 10
_SETTLED = 1e-3
_MOST_LEVERAGE = 0.9


Form = str | tuple[Knots, bool]
"""Name of a candidate, or the knots of a spline and whether it is one of log age."""

Fitted = tuple[MeanCurve, tuple[Decision, ...]]


def fit_variant(
    structure: str,
    measure: str,
    groups: tuple[str, ...],
    values: Floats,
    rows: Rows,
    site_names: tuple[str, ...],
    choice: ModelChoice,
) -> list[Curve]:
    """Fit one structure of one group, or of women and men with their sites in common.

    Given the covariance, the mean of each group is generalised least squares of its own people, with the same
    candidates, tests and BIC as the paper's; given the means, the covariance has maximum likelihood over all people.
    Both take turns until the spread moves by less than 0.1%. What a mean took of each residual is given back by its
    leverage. Groups that are fitted together share sites, visits, the form of the spread over age, and the shape. In
    the end the sites' standard deviation is that of restricted likelihood and its prior.

    Parameters
    ----------
    structure, measure : str
    groups : tuple of str
        Group of each part of `rows`.
    values : (n,) float
        In the measure's unit.
    rows : Rows
    site_names : tuple of str
        In the order of the sites of `rows`.
    choice : ModelChoice

    Returns
    -------
    curves : list of Curve
        One a group.
    """
    scale = np.log(values) if choice.log else values
    state = _State(choice, rows, scale, AgeBasis.of(rows.age), [rows.part == k for k in range(len(groups))])
    means = state.settle()
    residuals, leverage = state.residuals(means)
    whitening = state.parts.whitening(state.rows)
    effects: Sequence[SiteEffects | None] = [None] * len(groups)
    if rows.sites is not None:
        shifts, _ = whitening.site_shifts(residuals)
        residuals = residuals - rows.sites.spread_out(shifts)
        parts = state.parts
        columns, slices = state.columns(means)
        of_curves, with_shifts, of_shifts = joint_uncertainty(whitening, columns)
        effects = [
            SiteEffects(
                site_names,
                shifts,
                np.sqrt(of_shifts),
                parts.log_scales,
                parts.site_sd,
                parts.scale_sd,
                state.site_doubt,
                of_curves[own, own],
                with_shifts[:, own],
            )
            for own in slices
        ]
    standardised = residuals / whitening.sd / np.sqrt(1.0 - leverage)
    shape = _shape_of(standardised * _inflation(state.rows), state) if choice.shape else None
    sampling = log_variance_sampling(standardised)
    correlation = None
    if rows.persons is not None:
        scores = standardised if shape is None else shape.at(state.basis.scaled(rows.age)).normal_score(standardised)
        correlation = fit_correlation(scores, rows.age, rows.persons)
    # What is left of heavy tails after the shape took them is no longer Student's t.
    tails = state.freedom if choice.robust and shape is None else None
    return [
        Curve(
            structure,
            measure,
            group,
            means[k][0],
            state.parts.spread_of(k),
            observations=int(here.sum()),
            people=len(set(rows.persons.index[here])) if rows.persons is not None else int(here.sum()),
            age_low=float(rows.age[here].min()),
            age_high=float(rows.age[here].max()),
            rho=state.parts.rho,
            sites=effects[k],
            shape=shape,
            sampling=sampling,
            tails=tails,
            log_volume=choice.log,
            correlation=correlation,
            decisions=means[k][1],
        )
        for k, (group, here) in enumerate(zip(groups, state.members, strict=True))
    ]


class _State:
    """Means and covariance of one structure while they take turns.

    Parameters
    ----------
    choice : ModelChoice
    rows : Rows
    values : (n,) float
        On the scale that is fitted.
    basis : AgeBasis
    members : list of (n,) bool
        Which rows each group has.

    Attributes
    ----------
    parts : Components
    site_doubt : float
        See `between_sites`.
    freedom : float
        Of Student's t, where the fit is robust.
    """

    def __init__(self, choice: ModelChoice, rows: Rows, values: Floats, basis: AgeBasis, members: list[Bools]) -> None:
        self.choice, self.rows, self.values, self.basis, self.members = choice, rows, values, basis, members
        self.spreads = SPREAD_FORMS if choice.spread else CONSTANT_SPREAD
        self.forms: list[Form | None] = [None] * len(members)
        self.site_doubt, self.freedom = 0.0, START
        self.parts = Components(Spread(basis, np.array([np.log(values.std())])), np.zeros(len(members)))
        if rows.sites is not None:
            sites = len(rows.sites.sizes)
            self.parts = replace(self.parts, log_scales=np.zeros(sites), site_sd=0.3 * float(values.std()))
        if choice.robust:
            centre, sd = float(np.median(values)), robust_sd(values)
            start = np.log(sd if sd > 0 else values.std())
            self.parts = replace(self.parts, spread=Spread(basis, np.array([start])))
            self.rows = replace(rows, inflation=inflation((values - centre) / np.exp(start), START))

    def settle(self) -> list[Fitted]:
        """Take turns until the spread moves by less than 0.1%; the means of the end."""
        before = self.parts.whitening(self.rows).sd
        for turn in range(_TURNS):
            # Forms are compared in the first turns; later ones go on with what was taken.
            means = self.fit_means(self.forms)
            if turn == 1:
                self.forms = [_form_of(mean) for mean, _ in means]
            self.fit_spread(*self.residuals(means))
            if turn == 1:
                spread = self.parts.spread
                self.spreads = ((len(spread.coefficients) - 1, spread.log_age),)
            now = self.parts.whitening(self.rows).sd
            if turn > 1 and np.abs(now / before - 1.0).max() < _SETTLED:
                break
            before = now
        if self.rows.sites is not None:
            self.doubt_sites(means)
        return self.fit_means([None] * len(self.members))

    def fit_spread(self, residuals: Floats, leverage: Floats) -> None:
        """Covariance, site factors and weights for some residuals."""
        rows = self.rows
        given_back = residuals / np.sqrt(1.0 - leverage)
        self.parts = estimate(rows, given_back, self.basis, self.parts, self.spreads)
        shifts: Floats = np.zeros_like(residuals)
        if rows.sites is not None:
            shifts = rows.sites.spread_out(self.parts.whitening(rows).site_shifts(residuals)[0])
            standardised = (given_back - shifts) / self.parts.sd(rows) / _inflation(rows)
            log_scales, scale_sd = site_scales(standardised, rows.sites)
            self.parts = replace(self.parts, log_scales=log_scales, scale_sd=scale_sd)
        if self.choice.robust:
            without = replace(rows, inflation=None)
            standardised = (given_back - shifts) / self.parts.whitening(without).sd
            self.freedom = likeliest_freedom(standardised)
            self.rows = replace(rows, inflation=inflation(standardised, self.freedom))

    def doubt_sites(self, means: list[Fitted]) -> None:
        """The sites' standard deviation by restricted likelihood, and how well it is known."""
        columns, _ = self.columns(means)
        left = np.empty_like(self.values)
        for (mean, _), here in zip(means, self.members, strict=True):
            left[here] = self.values[here] - mean.value(self.rows.age[here])
        site_sd, self.site_doubt = between_sites(self.parts.whitening(self.rows), left, columns)
        self.parts = replace(self.parts, site_sd=site_sd)

    def columns(self, means: list[Fitted]) -> tuple[Floats, list[slice]]:
        """(n, p) derivatives of all curves by their parameters side by side, and which are whose."""
        ends = np.cumsum([mean.parameters for mean, _ in means])
        slices = [slice(int(end) - mean.parameters, int(end)) for (mean, _), end in zip(means, ends, strict=True)]
        columns = np.zeros((len(self.values), int(ends[-1])))
        for (mean, _), here, own in zip(means, self.members, slices, strict=True):
            columns[here, own] = mean.jacobian(self.rows.age[here])
        return columns, slices

    def fit_means(self, forms: list[Form | None]) -> list[Fitted]:
        """Each group's best form, or the given one."""
        return [
            _fit_mean(some.age, self.values[here], self.basis, whitening, self.choice.spline, form)
            for (here, some, whitening), form in zip(self._groups(), forms, strict=True)
        ]

    def residuals(self, means: list[Fitted]) -> tuple[Floats, Floats]:
        """Values less the curves (n,), and the share of each in its own fitted value (n,)."""
        residuals, leverage = np.empty_like(self.values), np.empty_like(self.values)
        for (here, some, whitening), (mean, _) in zip(self._groups(), means, strict=True):
            residuals[here] = self.values[here] - mean.value(some.age)
            leverage[here] = _leverage(mean, some.age, whitening)
        return residuals, leverage

    def _groups(self) -> Iterator[tuple[Bools, Rows, Whitening]]:
        for here in self.members:
            some = self.rows.take(here)
            yield here, some, self.parts.of_some(self.rows, here, some)


def _inflation(rows: Rows) -> Floats | float:
    return 1.0 if rows.inflation is None else rows.inflation


def _shape_of(standardised: Floats, state: _State) -> Shape | None:
    """Shape of residuals over their spread; of a robust fit, without those far from all others."""
    t = state.basis.scaled(state.rows.age)
    if state.choice.robust:
        near = np.abs(standardised) < FAR * robust_sd(standardised)
        standardised, t = standardised[near], t[near]
    return fit_shape(standardised, t)


def _form_of(mean: MeanCurve) -> Form:
    return (mean.knots, mean.log_age) if mean.knots else mean.form


def _fit_mean(
    age: Floats, volume: Floats, basis: AgeBasis, whitening: Whitening, spline: bool, form: Form | None = None
) -> Fitted:
    """The best form by generalised least squares; with `form`, that one without a choice."""
    if spline:
        return _fit_spline(age, volume, basis, whitening, form)
    candidates = (CONSTANT, *CANDIDATES) if form is None else (BY_NAME[str(form)],)
    fits = fit_candidates(age, volume[:, None], basis, whitening, candidates)
    best, decisions = 0, list[Decision]()
    if form is None:
        (best,), (decisions,) = choose(fits, test_b0=False)
    mean = MeanCurve.of(fits[best], 0, basis)
    # Whitened observations have variance 1; the factor that is left over is the covariance's to explain.
    return replace(mean, covariance=mean.covariance / float(fits[best].variance[0])), tuple(decisions)


def _fit_spline(age: Floats, volume: Floats, basis: AgeBasis, whitening: Whitening, form: Form | None) -> Fitted:
    """The set of knots, and the scale of age, with the smallest BIC."""
    sets = [form] if isinstance(form, tuple) else knot_candidates(age)
    tried = [(knots, log_age, *fit_spline(age, volume, basis, whitening, knots, log_age)) for knots, log_age in sets]
    logs = float(np.log(len(age)))
    bics = [len(age) * float(np.log(rss / len(age))) + len(knots) * logs for knots, _, _, _, rss in tried]
    best = int(np.argmin(bics))
    names = [f"spline{' of log age' * log_age} with {len(knots) - 2} inner knots" for knots, log_age, *_ in tried]
    decisions = tuple(
        Decision(
            names[k],
            len(knots),
            rss,
            bic,
            accepted=True,
            chosen=k == best,
            reason="smallest BIC" if k == best else f"larger BIC than {names[best]}",
        )
        for k, ((knots, _, _, _, rss), bic) in enumerate(zip(tried, bics, strict=True))
    )
    knots, log_age, coefficients, covariance, rss = tried[best]
    scale = rss / (len(age) - len(knots))
    return MeanCurve(SPLINE, basis, coefficients, covariance / scale, None, knots, log_age), decisions


def _leverage(mean: MeanCurve, age: Floats, whitening: Whitening) -> Floats:
    """(n,) share of each observation in its own fitted value."""
    q, _ = np.linalg.qr(whitening(mean.jacobian(age)))
    return np.asarray(np.minimum((q**2).sum(axis=1), _MOST_LEVERAGE))
