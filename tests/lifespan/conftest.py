"""Made-up people whose curves are known. Nothing here needs more than lifespan itself needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Maker = Callable[..., pd.DataFrame]


def made_up(
    count: int = 400,
    *,
    seed: int = 1,
    structures: int = 2,
    sites: int = 1,
    site_sd: float = 0.0,
    visits: int = 1,
    rho: float = 0.0,
    sd_slope: float = 0.0,
    men: float = 0.5,
) -> pd.DataFrame:
    """People of 5 to 85 years; volumes of about 50 cm3 that grow, then shrink, men's 10% larger.

    `sd_slope` is the change of log spread from the youngest to the oldest; the spread is 3 cm3 in the middle.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), visits)
    age = rng.uniform(5.0, 85.0 - visits, count)[person] + np.tile(np.arange(visits), count)
    sex = rng.choice(["F", "M"], count, p=[1 - men, men])[person]
    site = rng.integers(0, sites, count)[person]
    shift = rng.normal(0.0, 1.0, sites) * site_sd
    table = {
        "participant_id": [f"sub-{k:04d}" for k in person],
        "session": [str(k + 1) for k in np.tile(np.arange(visits), count)],
        "age": age,
        "sex": sex,
        "site": [f"site-{k}" for k in site],
        "icv_cm3": (1450.0 * np.exp(rng.normal(0.0, 0.08, count)))[person],
    }
    sd = 3.0 * np.exp(sd_slope * (age - 45.0) / 80.0)
    for k in range(structures):
        mean = (40.0 - 0.12 * age + 20.0 * (1.0 - np.exp(-age / 6.0))) * np.where(sex == "M", 1.1, 1.0)
        own, noise = rng.normal(size=count)[person], rng.normal(size=len(person))
        table[f"left_{k}_cm3"] = mean + shift[site] + sd * (np.sqrt(rho) * own + np.sqrt(1 - rho) * noise)
    return pd.DataFrame(table)


@pytest.fixture(scope="session")
def people() -> Maker:
    """Makes tables of made-up people."""
    return made_up


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real tables, outside the repository."""
    folder = os.environ.get("CEREBATCH_DATA", "")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    reason = f"CEREBATCH_DATA names no folder of real data: {folder!r}" if folder else "CEREBATCH_DATA is not set"
    if "data" in (word.strip() for word in os.environ.get("CEREBATCH_REQUIRE", "").split(",")):
        pytest.fail(f"{reason}, and CEREBATCH_REQUIRE asks for data")
    pytest.skip(reason)
