"""The paper's rule: which candidates count, and which of them wins."""

from __future__ import annotations

import numpy as np

from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import CANDIDATES
from lifespan.models.decisions import choose
from lifespan.models.search import fit_candidates
from lifespan.models.whitening import unit

RNG = np.random.default_rng(11)
AGE = np.sort(RNG.uniform(2.0, 90.0, 800))
SHAPES = {
    "linear": 90 - 0.3 * AGE,
    "quadratic": 70 + 0.9 * AGE - 0.012 * AGE**2,
    "cubic": 60 + 2.2 * AGE - 0.045 * AGE**2 + 0.00025 * AGE**3,
    "linear + growth": 40 - 0.2 * AGE + 60 * (1 - np.exp(-AGE / 4)),
    "quadratic + growth": 40 + 0.5 * AGE - 0.009 * AGE**2 + 60 * (1 - np.exp(-AGE / 4)),
    "cubic + growth": 40 + 2.0 * AGE - 0.05 * AGE**2 + 0.0003 * AGE**3 + 50 * (1 - np.exp(-AGE / 3)),
    "constant": np.full(800, 60.0),
}
VOLUMES = np.column_stack(list(SHAPES.values())) + RNG.normal(0.0, 3.0, (800, len(SHAPES)))
CHOSEN, DECISIONS = choose(fit_candidates(AGE, VOLUMES, AgeBasis.of(AGE), unit(800)))


def test_the_form_that_made_the_volumes_is_taken() -> None:
    assert [decisions[k].candidate for k, decisions in zip(CHOSEN, DECISIONS, strict=True)] == list(SHAPES)


def test_every_candidate_keeps_a_decision_and_one_is_chosen() -> None:
    names = ["constant", *(form.name for form in CANDIDATES)]
    for decisions in DECISIONS:
        assert [decision.candidate for decision in decisions] == names
        assert sum(decision.chosen for decision in decisions) == 1
        assert all(decision.reason for decision in decisions)


def test_a_candidate_counts_only_if_every_test_is_below_5_percent() -> None:
    for decisions in DECISIONS:
        for decision in decisions[1:]:
            assert decision.f_p is not None
            passed = decision.f_p < 0.05 and all(p < 0.05 for p in decision.t_p.values())
            assert decision.accepted == passed


def test_the_refusing_test_is_named() -> None:
    straight = DECISIONS[0]
    quadratic = straight[2]
    assert not quadratic.accepted
    assert quadratic.reason.startswith("refused: ")
    assert f"t-test of b2 p = {quadratic.t_p['b2']:.2g}" in quadratic.reason


def test_the_constant_and_g_are_tested_and_tau_is_not() -> None:
    assert list(DECISIONS[0][4].t_p) == ["b0", "b1", "g"]


def test_among_those_that_count_the_smallest_bic_wins_even_if_a_refused_one_is_smaller() -> None:
    for k, decisions in zip(CHOSEN, DECISIONS, strict=True):
        accepted = [decision.bic for decision in decisions[1:] if decision.accepted]
        assert decisions[k].bic == (min(accepted) if accepted else decisions[0].bic)


def test_without_any_candidate_the_constant_curve_is_taken() -> None:
    assert DECISIONS[-1][0].chosen
    assert DECISIONS[-1][0].reason == "no candidate passed its tests"


def test_bic_counts_tau() -> None:
    n = 800
    decision = DECISIONS[3][4]
    assert decision.parameters == 4
    assert np.isclose(decision.bic, n * np.log(decision.rss / n) + 4 * np.log(n))
