"""Volumes with the sites taken out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lifespan import MismatchError, fit, harmonise

Maker = Callable[..., pd.DataFrame]


def test_sites_go_and_age_sex_and_people_stay(people: Maker) -> None:
    table = people(800, structures=1, sites=6, site_sd=6.0)
    flat = people(800, structures=1, sites=6, site_sd=0.0)
    found = harmonise(fit(table, model="sites", icv="none"), table)
    assert list(found["participant_id"]) == list(table["participant_id"])
    known = found["left_0_cm3"].notna()
    assert known.mean() > 0.95
    # The same people without shifts, but for what all sites have in common.
    left = (found["left_0_cm3"] - flat["left_0_cm3"])[known]
    before = (table["left_0_cm3"] - flat["left_0_cm3"])[known]
    by_site = left.groupby(found["site"]).mean()
    assert before.std() > 3.0
    assert by_site.max() - by_site.min() < 1.5
    assert np.corrcoef(found["left_0_cm3"][known], flat["left_0_cm3"][known])[0, 1] > 0.98


def test_sites_that_are_not_known_need_controls(people: Maker) -> None:
    table = people(300, structures=1, sites=5, site_sd=4.0, men=0.0)
    model = fit(table, model="sites", icv="none")
    new = people(60, seed=3, structures=1, men=0.0).assign(site="new")
    new["left_0_cm3"] += 8.0
    with pytest.raises(MismatchError, match="sites that the model knows, found new"):
        harmonise(model, new)
    found = harmonise(model, new, controls=new)
    assert (new["left_0_cm3"] - found["left_0_cm3"]).mean() > 4.0
    with pytest.raises(MismatchError, match="a model with sites, found one of paper"):
        harmonise(fit(table, icv="none"), table)
