"""Fitting one curve with whatever `ModelChoice` asks for: mean and spread in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lifespan.arrays import Bools, Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import BY_NAME, CANDIDATES, CONSTANT
from lifespan.models.choice import ModelChoice
from lifespan.models.components import Components, Rows, estimate
from lifespan.models.curve import Curve
from lifespan.models.decisions import Decision, choose
from lifespan.models.mean import SPLINE, MeanCurve
from lifespan.models.search import fit_candidates
from lifespan.models.shape import fit_shape
from lifespan.models.site_scales import log_variance_sampling, site_scales
from lifespan.models.sites import SiteEffects
from lifespan.models.spline import fit_spline, knot_candidates
from lifespan.models.spread import MOST_DEGREES, Spread
from lifespan.models.whitening import Whitening

_TURNS = 8
_SETTLED = 1e-3
_MOST_LEVERAGE = 0.9


Form = str | tuple[float, ...]
"""Name of a candidate, or the knots of a spline."""

Fitted = tuple[MeanCurve, tuple[Decision, ...]]
Member = tuple[Bools, Rows]
"""Which rows a group has, and those rows."""


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
    leverage. Groups that are fitted together share sites, visits, the form of the spread over age, and the shape.

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
    age, basis = rows.age, AgeBasis.of(rows.age)
    parts = Components(Spread(basis, np.array([np.log(values.std())])), np.zeros(len(groups)))
    if rows.sites is not None:
        parts = replace(parts, log_scales=np.zeros(len(site_names)), site_sd=0.3 * float(values.std()))
    degrees = range(MOST_DEGREES + 1) if choice.spread else range(1)
    members = [(rows.part == k, rows.take(rows.part == k)) for k in range(len(groups))]
    forms: list[Form | None] = [None] * len(groups)
    before = parts.sd(rows)
    for turn in range(_TURNS):
        # Forms are compared in the first turns; later ones go on with what was taken.
        means = _fit_means(rows, members, values, basis, parts, choice.spline, forms)
        if turn == 1:
            forms = [mean.knots or mean.form for mean, _ in means]
        residuals, leverage = _residuals(rows, members, values, parts, means)
        given_back = residuals / np.sqrt(1.0 - leverage)
        parts = estimate(rows, given_back, basis, parts, degrees)
        if turn == 1:
            degrees = range(len(parts.spread.coefficients) - 1, len(parts.spread.coefficients))
        if rows.sites is not None:
            shifts = rows.sites.spread_out(parts.whitening(rows).site_shifts(residuals)[0])
            log_scales, scale_sd = site_scales((given_back - shifts) / parts.sd(rows), rows.sites)
            parts = replace(parts, log_scales=log_scales, scale_sd=scale_sd)
        now = parts.whitening(rows).sd
        if turn > 0 and np.abs(now / before - 1.0).max() < _SETTLED:
            break
        before = now
    means = _fit_means(rows, members, values, basis, parts, choice.spline, [None] * len(groups))
    residuals, leverage = _residuals(rows, members, values, parts, means)
    whitening, effects = parts.whitening(rows), None
    if rows.sites is not None:
        shifts, shift_sd = whitening.site_shifts(residuals)
        residuals = residuals - rows.sites.spread_out(shifts)
        effects = SiteEffects(site_names, shifts, shift_sd, parts.log_scales, parts.site_sd, parts.scale_sd)
    standardised = residuals / whitening.sd / np.sqrt(1.0 - leverage)
    shape, sampling = fit_shape(standardised) if choice.shape else None, log_variance_sampling(standardised)
    return [
        Curve(
            structure,
            measure,
            group,
            means[k][0],
            parts.spread_of(k),
            observations=int(here.sum()),
            people=len(set(rows.persons.index[here])) if rows.persons is not None else int(here.sum()),
            age_low=float(age[here].min()),
            age_high=float(age[here].max()),
            rho=parts.rho,
            sites=effects,
            shape=shape,
            sampling=sampling,
            decisions=means[k][1],
        )
        for k, (group, (here, _)) in enumerate(zip(groups, members, strict=True))
    ]


def _fit_means(
    rows: Rows,
    members: list[Member],
    values: Floats,
    basis: AgeBasis,
    parts: Components,
    spline: bool,
    forms: list[Form | None],
) -> list[Fitted]:
    return [
        _fit_mean(some.age, values[here], basis, parts.of_some(rows, here, some), spline, form)
        for (here, some), form in zip(members, forms, strict=True)
    ]


def _residuals(
    rows: Rows, members: list[Member], values: Floats, parts: Components, means: list[Fitted]
) -> tuple[Floats, Floats]:
    """Volumes less the curves (n,), and the share of each in its own fitted value (n,)."""
    residuals, leverage = np.empty_like(values), np.empty_like(values)
    for (here, some), (mean, _) in zip(members, means, strict=True):
        residuals[here] = values[here] - mean.value(some.age)
        leverage[here] = _leverage(mean, some.age, parts.of_some(rows, here, some))
    return residuals, leverage


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
    """The set of knots with the smallest BIC."""
    sets = [form] if isinstance(form, tuple) else knot_candidates(age)
    tried = [(knots, *fit_spline(age, volume, basis, whitening, knots)) for knots in sets]
    logs = float(np.log(len(age)))
    bics = [len(age) * float(np.log(rss / len(age))) + len(knots) * logs for knots, _, _, rss in tried]
    best = int(np.argmin(bics))
    decisions = tuple(
        Decision(
            f"spline with {len(knots) - 2} inner knots",
            len(knots),
            rss,
            bic,
            accepted=True,
            chosen=k == best,
            reason="smallest BIC" if k == best else f"larger BIC than with {len(tried[best][0]) - 2} inner knots",
        )
        for k, ((knots, _, _, rss), bic) in enumerate(zip(tried, bics, strict=True))
    )
    knots, coefficients, covariance, rss = tried[best]
    scale = rss / (len(age) - len(knots))
    return MeanCurve(SPLINE, basis, coefficients, covariance / scale, None, knots), decisions


def _leverage(mean: MeanCurve, age: Floats, whitening: Whitening) -> Floats:
    """(n,) share of each observation in its own fitted value."""
    q, _ = np.linalg.qr(whitening(mean.jacobian(age)))
    return np.asarray(np.minimum((q**2).sum(axis=1), _MOST_LEVERAGE))
