"""Two sets of volumes of the same people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from lifespan import MismatchError, compare
from lifespan.comparing import holm
from lifespan.shift import Shift

Maker = Callable[..., pd.DataFrame]


def remeasured(table: pd.DataFrame, noise: dict[str, float], seed: int) -> pd.DataFrame:
    """The same people with an error of measurement of its own for each structure, cm3."""
    rng = np.random.default_rng(seed)
    return table.assign(**{name: table[name] + rng.normal(0.0, sd, len(table)) for name, sd in noise.items()})


@pytest.fixture(scope="module")
def found(people: Maker) -> pd.DataFrame:
    table = people(500, structures=4, men=0.0)
    names = [f"left_{k}_cm3" for k in range(4)]
    before = remeasured(table, dict.fromkeys(names, 3.0), seed=1)
    after = remeasured(table, dict(zip(names, (0.5, 3.0, 3.0, 6.0), strict=True)), seed=2)
    return compare(before, after).set_index("structure")


class TestCompare:
    def test_what_got_better_and_worse_is_found_and_the_rest_is_not(self, found: pd.DataFrame) -> None:
        assert found["reduced"].to_dict() | {"left_1": None, "left_2": None} == {
            "left_0": True,
            "left_1": None,
            "left_2": None,
            "left_3": False,
        }
        assert list(found["significant_holm"]) == [True, False, False, True]

    def test_the_spread_is_that_of_the_residuals(self, found: pd.DataFrame) -> None:
        assert found["sd_before"]["left_0"] == pytest.approx(np.hypot(3, 3), rel=0.1)
        assert found["sd_after"]["left_0"] == pytest.approx(np.hypot(3, 0.5), rel=0.1)
        change = 100 * (found["sd_after"] / found["sd_before"] - 1)
        np.testing.assert_allclose(found["sd_change_percent"], change)

    def test_each_set_has_its_own_model(self, people: Maker) -> None:
        table = people(400, structures=1, men=0.0)
        after = table.assign(left_0_cm3=60 - 0.2 * table["age"] + np.random.default_rng(1).normal(0, 1, 400))
        row = compare(table, after).iloc[0]
        assert (row["model_before"], row["model_after"]) == ("linear + growth", "linear")

    def test_p_is_that_of_a_paired_wilcoxon_test_of_absolute_residuals(self, people: Maker) -> None:
        rng = np.random.default_rng(0)
        table = people(100, structures=1).assign(left_0_cm3=50 + rng.normal(0, 3, 100))
        after = table.assign(left_0_cm3=50 + rng.normal(0, 3.5, 100))
        row = compare(table, after).iloc[0]
        assert (row["model_before"], row["model_after"]) == ("constant", "constant")
        first, second = (np.abs(t["left_0_cm3"] - t["left_0_cm3"].mean()) for t in (table, after))
        assert row["p"] == pytest.approx(wilcoxon(second - first).pvalue)

    def test_the_direction_is_that_of_the_test_and_not_of_the_standard_deviation(self, people: Maker) -> None:
        """Smaller errors in nearly everybody, far larger ones in 4%: the SD grows, the test says less."""
        rng = np.random.default_rng(5)
        count = 1000
        table = people(count, structures=1, men=0.0)
        curve = 60 - 0.2 * table["age"]
        before = table.assign(left_0_cm3=curve + rng.normal(0, 3.0, count))
        far = rng.uniform(size=count) < 0.04
        after = table.assign(left_0_cm3=curve + rng.normal(0, np.where(far, 18.0, 1.5)))
        row = compare(before, after).iloc[0]
        assert row["sd_after"] > row["sd_before"]
        assert row["p"] < 1e-6 and row["reduced"]
        assert row["shift_low"] < row["shift"] < row["shift_high"] < 0
        back = compare(after, before).iloc[0]
        assert not back["reduced"]
        assert back["shift"] == pytest.approx(-row["shift"], abs=1e-4)

    def test_people_are_paired_by_name_in_any_order(self, people: Maker) -> None:
        table = people(200)
        other = remeasured(table, {"left_0_cm3": 2.0, "left_1_cm3": 2.0}, seed=3)
        shuffled = other.sample(frac=1.0, random_state=1)
        pd.testing.assert_frame_equal(compare(table, other), compare(table, shuffled))

    def test_the_same_table_twice_differs_in_nothing(self, people: Maker) -> None:
        table = people(100)
        assert (compare(table, table)["p"] == 1.0).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.drop(columns="left_1_cm3"), "found left_1 in one of them alone"),
            (lambda t: t.assign(participant_id=[f"x{k}" for k in range(len(t))]), "found 0 in common"),
            (lambda t: pd.concat([t, t.assign(session="2")]), "one row a person, found sub-0000"),
        ],
    )
    def test_tables_that_cannot_be_compared(self, people: Maker, change: Maker, message: str) -> None:
        table = people(60)
        with pytest.raises(MismatchError, match=message):
            compare(table, change(table))


@pytest.mark.parametrize("count", [9, 60, 301])
def test_the_shift_is_the_median_of_all_means_of_two(count: int) -> None:
    differences = np.random.default_rng(count).gamma(2.0, 1.0, count) - 1.0
    i, j = np.triu_indices(count)
    means = np.sort((differences[i] + differences[j]) / 2)
    shift = Shift.of(differences)
    assert shift.size == pytest.approx(np.median(means), abs=np.diff(means).max() / 2)
    assert shift.p == wilcoxon(differences).pvalue
    at_the_ends = [
        wilcoxon(differences - end, correction=False, method="approx").pvalue for end in (shift.low, shift.high)
    ]
    assert at_the_ends == pytest.approx([0.05, 0.05], abs=0.01)


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(size=26) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
