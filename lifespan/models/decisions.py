"""Which candidate is taken, and why each of the others is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lifespan.models.candidate_fit import CandidateFit
from lifespan.models.candidates import CONSTANT

ALPHA = 0.05
"""Every test of a candidate has to be below this."""

MUCH_BETTER = 10.0
"""A refused form whose BIC is lower by more than this is told of: "very strong" in Kass and Raftery's scale
(Journal of the American Statistical Association 90, 1995, 773-795)."""


@dataclass(frozen=True)
class Decision:
    """What was found for one candidate of one structure.

    Attributes
    ----------
    candidate : str
    parameters : int
        Of the mean, tau counted.
    rss : float
        Sum of squared (whitened) residuals.
    bic : float
        n log(RSS / n) + p log n.
    accepted : bool
        Every test was passed.
    chosen : bool
    reason : str
        The test that refused it, or why another one was taken.
    f_p : float or None
        p-value against the constant curve.
    t_p : dict
        Coefficient -> p-value.
    tau, tau_at_limit : float or None, bool
        Years; whether the profile ran to an end of the searched range.
    """

    candidate: str
    parameters: int
    rss: float
    bic: float
    accepted: bool
    chosen: bool
    reason: str
    f_p: float | None = None
    t_p: dict[str, float] = field(default_factory=dict)
    tau: float | None = None
    tau_at_limit: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(fits: Sequence[CandidateFit], *, test_b0: bool = True) -> tuple[list[int], list[list[Decision]]]:
    """Apply the paper's rule to each structure.

    A candidate counts only if its F-test against the constant curve and the t-test of every coefficient, tau excepted,
    have p < 0.05. The smallest BIC among those wins; if there is none, the constant curve.

    Parameters
    ----------
    fits : sequence of CandidateFit
        The constant curve first.
    test_b0 : bool
        Whether the constant b0 is tested, too, as the paper does. b0 is the volume at birth less what grows: nothing is
        wrong with a curve for which it is 0, and the test then refuses growth that is plain to see.

    Returns
    -------
    chosen : list of int
        For each structure the index in `fits`.
    decisions : list of list of Decision
        For each structure, in the order of `fits`.
    """
    constant, *rest = fits
    assert constant.candidate == CONSTANT
    structures = len(constant.rss)
    f_p = [fit.f_test_p(constant.rss) for fit in rest]
    t_p = [fit.t_test_p for fit in rest]
    bic = np.array([fit.bic for fit in fits])
    first = 0 if test_b0 else 1
    accepted = np.array([(f < ALPHA) & (t[:, first:] < ALPHA).all(axis=1) for f, t in zip(f_p, t_p, strict=True)])
    ranked = np.where(accepted, bic[1:], np.inf)
    chosen = np.where(accepted.any(axis=0), 1 + ranked.argmin(axis=0), 0)
    decisions = []
    for s in range(structures):
        best = int(chosen[s])
        name = fits[best].candidate.name
        why = "no candidate passed its tests" if best == 0 else "smallest BIC of the accepted candidates"
        rows = [
            Decision(
                CONSTANT.name,
                CONSTANT.parameters,
                float(constant.rss[s]),
                float(bic[0, s]),
                accepted=best == 0,
                chosen=best == 0,
                reason=why if best == 0 else "taken only if no candidate passes its tests",
            )
        ]
        for k, fit in enumerate(rest):
            tests = dict(zip(fit.candidate.terms, map(float, t_p[k][s]), strict=True))
            if not accepted[k, s]:
                tested = {term: p for term, p in tests.items() if test_b0 or term != "b0"}
                reason = _refusal(float(f_p[k][s]), tested)
            else:
                reason = why if k + 1 == best else f"larger BIC than {name}"
            rows.append(
                Decision(
                    fit.candidate.name,
                    fit.candidate.parameters,
                    float(fit.rss[s]),
                    float(bic[k + 1, s]),
                    accepted=bool(accepted[k, s]),
                    chosen=k + 1 == best,
                    reason=reason,
                    f_p=float(f_p[k][s]),
                    t_p=tests,
                    tau=float(fit.tau[s]) if fit.candidate.growth else None,
                    tau_at_limit=bool(fit.tau_at_limit[s]),
                )
            )
        decisions.append(rows)
    return [int(k) for k in chosen], decisions


def refused_though_better(decisions: Sequence[Decision]) -> Decision | None:
    """The refused form of one curve whose BIC is lower than the chosen one's by more than 10, the lowest of several."""
    chosen = next((decision.bic for decision in decisions if decision.chosen), np.inf)
    refused = [decision for decision in decisions if not decision.accepted and decision.bic < chosen - MUCH_BETTER]
    return min(refused, key=lambda decision: decision.bic, default=None)


def _refusal(f_p: float, t_p: dict[str, float]) -> str:
    failed = [f"F-test p = {f_p:.2g}"] if not f_p < ALPHA else []
    failed += [f"t-test of {term} p = {p:.2g}" for term, p in t_p.items() if not p < ALPHA]
    return "refused: " + ", ".join(failed)
