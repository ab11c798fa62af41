"""The size of the head taken out by the power law."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lifespan import fit, score

Maker = Callable[..., pd.DataFrame]


class TestIcv:
    def table(self, people: Maker, exponent: float) -> pd.DataFrame:
        table = people(1500)
        table["left_0_cm3"] *= (table["icv_cm3"] / 1450) ** exponent
        return table

    def test_the_power_law_finds_its_exponent(self, people: Maker) -> None:
        model = fit(self.table(people, 0.6), icv="power")
        exponent = model.curves["left_0", "power_icv", "all"].icv_exponent
        assert exponent == pytest.approx(0.6, abs=0.06)

    def test_dividing_over_corrects_where_volume_grows_less_than_the_head(self, people: Maker) -> None:
        table = self.table(people, 0.6)
        scores = {icv: score(fit(table, icv=icv), table, pooled=True) for icv in ("ratio", "power")}
        for icv, measure, low, high in (("ratio", "percent_icv", -1.0, -0.2), ("power", "power_icv", -0.06, 0.06)):
            found = scores[icv][(scores[icv]["structure"] == "left_0") & (scores[icv]["measure"] == measure)]
            slope = float(np.corrcoef(found["z"], np.log(table["icv_cm3"]))[0, 1])
            assert low < slope < high

    @pytest.mark.parametrize("unknown", [0.0, 0.5, 1.0])
    def test_it_does_not_take_sex_for_the_head_nor_people_without_sex_for_men(
        self, people: Maker, unknown: float
    ) -> None:
        """Women's heads and cerebella are smaller; where half of the women have no sex, they are still no men."""
        table = people(2000)
        woman = (table["sex"] == "F").to_numpy()
        table["icv_cm3"] *= np.where(woman, 0.88, 1.0)
        table["left_0_cm3"] *= (table["icv_cm3"] / 1450) ** 0.6 * np.where(woman, 0.85, 1.0)
        lost = woman & (np.random.default_rng(0).uniform(size=2000) < unknown)
        table = table.astype({"sex": object}).assign(sex=np.where(lost, "", table["sex"]))
        exponent = fit(table, icv="power").curves["left_0", "power_icv", "all"].icv_exponent
        assert exponent == pytest.approx(0.6, abs=0.07)

    def test_it_does_not_take_sites_for_the_head(self, people: Maker) -> None:
        """One scanner measures larger heads and smaller cerebella."""
        table = self.table(people, 0.6).assign(site=lambda t: np.where(t.index % 3 == 0, "a", "b"))
        other = (table["site"] == "a").to_numpy()
        table.loc[other, "icv_cm3"] *= 1.15
        table.loc[other, "left_0_cm3"] *= 0.9
        for words in ("paper", "sites"):
            exponent = fit(table, icv="power", model=words).curves["left_0", "power_icv", "all"].icv_exponent
            assert exponent == pytest.approx(0.6, abs=0.07)
