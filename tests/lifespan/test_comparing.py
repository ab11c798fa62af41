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
        np.testing.assert_allclose(found["change_percent"], change)

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


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(size=26) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
