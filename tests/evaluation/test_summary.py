"""Tables over cases, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cerebatch.evaluation.scores import MEANS, NAN, WHOLE, Score, regions
from cerebatch.evaluation.summary import RegionSummary, compare, summarise
from cerebatch.measures.overlap import SCORED


def scores(dice: np.ndarray) -> list[Score]:
    """A case with 26 given Dice; the predicted volume is Dice times the true one of 2 cm3."""
    found = [
        Score(region.name, region.kind, float(value), 1.0, 2.0 * float(value), 2.0)
        for region, value in zip(regions(), [*dice, *np.full(15, 0.9)], strict=True)
    ]
    means = (np.nanmean(dice), np.nanmean(dice[np.array(SCORED) - 1]))
    return found + [Score(name, "mean", float(mean), 1.0) for name, mean in zip(MEANS, means, strict=True)]


def drawn(count: int, seed: int = 1, better: float = 0.0) -> dict[str, list[Score]]:
    rng = np.random.default_rng(seed)
    return {f"sub-{k}": scores(rng.uniform(0.5, 0.9, 26) + better) for k in range(count)}


def by_name(summaries: list[RegionSummary]) -> dict[str, RegionSummary]:
    return {each.region: each for each in summaries}


def test_mean_over_structures_first_then_over_cases_and_the_spread_over_structures_apart() -> None:
    given = drawn(5)
    dice = np.array([[score.dice for score in of_case[:26]] for of_case in given.values()])
    scored = dice[:, np.array(SCORED) - 1]
    found = by_name(summarise(given))
    for name, chosen in zip(MEANS, (dice, scored), strict=True):
        assert found[name].dice.mean == pytest.approx(chosen.mean(axis=1).mean())
        assert found[name].dice.sd == pytest.approx(chosen.mean(axis=1).std(ddof=1))
        assert found[name].structures_sd == pytest.approx(chosen.mean(axis=0).std(ddof=1))
    assert math.isnan(found[WHOLE].structures_sd)
    crus = found["Left Crus I"]
    assert crus.dice.mean == pytest.approx(dice[:, 5].mean())
    assert crus.difference_cm3.mean == pytest.approx(2 * dice[:, 5].mean() - 2)
    assert crus.difference_percent.mean == pytest.approx(100 * (dice[:, 5].mean() - 1))


def test_one_case_has_a_mean_and_no_spread() -> None:
    found = by_name(summarise(drawn(1)))
    assert 0.5 < found[MEANS[0]].dice.mean < 0.9
    assert math.isnan(found[MEANS[0]].dice.sd)
    assert found[MEANS[0]].structures_sd > 0


def test_what_is_not_known_is_left_out_of_the_mean() -> None:
    given = drawn(3)
    first = given["sub-0"][5]
    given["sub-0"][5] = Score(first.region, first.kind, first.dice, NAN, first.predicted_cm3, 0.0)
    found = by_name(summarise(given))["Left Crus I"]
    assert found.hausdorff95_mm.mean == 1
    assert math.isfinite(found.difference_percent.mean)


def test_two_methods_are_compared_case_by_case() -> None:
    one, other = drawn(8), drawn(8, seed=2, better=0.05)
    del one["sub-3"]
    shared = list(one)
    found = {each.region: each for each in compare(one, other)}
    ours, theirs = ([scores_[case][5].dice for case in shared] for scores_ in (one, other))
    crus = found["Left Crus I"]
    assert crus.cases == 7
    assert (crus.one, crus.other) == (pytest.approx(np.mean(ours)), pytest.approx(np.mean(theirs)))
    assert crus.p == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)


def test_the_test_is_of_pairs_and_two_sided() -> None:
    one = drawn(6)
    better = {case: [Score(s.region, s.kind, s.dice + 0.01, 1.0) for s in of_case] for case, of_case in one.items()}
    there = {each.region: each for each in compare(one, better)}
    back = {each.region: each for each in compare(better, one)}
    # All six differences have one sign: 2 / 2**6.
    assert there["Left Crus I"].p == back["Left Crus I"].p == pytest.approx(2 / 64)
    assert there["Left Crus I"].p_holm == pytest.approx(26 * 2 / 64)
    assert math.isnan(there[WHOLE].p_holm)


def test_methods_that_do_not_differ_have_no_p() -> None:
    found = {each.region: each for each in compare(drawn(4), drawn(4))}
    assert math.isnan(found[MEANS[0]].p)
    assert found[MEANS[0]].one == found[MEANS[0]].other
