"""The paper's rule: which candidates count, and which of them wins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lifespan import fit
from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import CANDIDATES
from lifespan.models.decisions import choose, refused_though_better
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


class TestGrowthFromNothing:
    """linear + growth with b0 = 0: the test of b0 refuses what the volumes say loudly."""

    @pytest.fixture(scope="class")
    def table(self) -> pd.DataFrame:
        rng = np.random.default_rng(2)
        age = rng.uniform(1.0, 90.0, 4857)
        volume = 130 * (1 - np.exp(-age / 4.0)) - 0.3 * age + rng.normal(0, 8, 4857)
        return pd.DataFrame({"participant_id": range(4857), "age": age, "x_cm3": volume})

    def test_the_paper_keeps_its_rule_and_a_warning_tells_what_it_costs(self, table: pd.DataFrame) -> None:
        model = fit(table, icv="none")
        decisions = model.curves["x", "absolute", "all"].decisions
        refused = next(d for d in decisions if d.candidate == "linear + growth")
        assert not refused.accepted and "t-test of b0" in refused.reason
        (warning,) = [text for text in model.warnings if "the paper's tests refuse" in text]
        by = next(d.bic for d in decisions if d.chosen) - refused.bic
        assert by > 1000
        assert f"in 1 curves: x (all, absolute): linear + growth, by {by:.0f}" in warning

    def test_other_models_do_not_test_b0(self, table: pd.DataFrame) -> None:
        model = fit(table, model="spread", icv="none")
        curve = model.curves["x", "absolute", "all"]
        assert curve.mean.form == "linear + growth"
        young = np.array([1.5, 3.0, 5.0])
        np.testing.assert_allclose(curve.mean.value(young), 130 * (1 - np.exp(-young / 4)) - 0.3 * young, atol=1.5)
        assert not any("the paper's tests refuse" in text for text in model.warnings)

    def test_nothing_is_said_where_no_refused_form_is_much_better(self) -> None:
        assert [refused_though_better(decisions) for decisions in DECISIONS] == [None] * len(DECISIONS)
