"""A model of one structure, fitted as the tests of variants, sites and intracranial volume look at it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifespan import fit
from lifespan.models.curve import Curve


def only(table: pd.DataFrame, model: str, group: str = "all") -> Curve:
    """The curve of the one structure, fitted by a model."""
    return fit(table, model=model, icv="none").curves["left_0", "absolute", group]


def inside(curve: Curve, table: pd.DataFrame) -> np.ndarray:
    """Which people lie inside the bounds."""
    lower, upper = curve.predict(table["age"].to_numpy(), list(table["site"])).bounds()
    return ((table["left_0_cm3"] >= lower) & (table["left_0_cm3"] <= upper)).to_numpy()
