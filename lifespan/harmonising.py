"""`harmonise`: volumes as a site without a shift would have given them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lifespan.errors import MismatchError
from lifespan.measures import ABSOLUTE
from lifespan.models.model import LifespanModel
from lifespan.people import People
from lifespan.scoring import check_fits, group_of, transfer
from lifespan.tables.load import listed
from lifespan.tables.read import Reading, read_table


def harmonise(
    model: LifespanModel,
    table: Path | str | pd.DataFrame | People,
    *,
    controls: Path | str | pd.DataFrame | People | None = None,
    reading: Reading | None = None,
) -> pd.DataFrame:
    """Take the sites' shifts and factors of spread out of volumes; age, sex and the person stay.

    A value is moved to where it would stand at a site without shift and of factor 1: f + (y - f - shift) / factor with
    the curve f of the person's sex and age. Shifts and factors are those of the model: learnt from its people, and
    drawn towards nothing by what these leave uncertain. Sums of structures are adjusted by their own shifts and need
    not stay the sums of their parts.

    Parameters
    ----------
    model : LifespanModel
        With sites.
    table : Path, str, DataFrame or People
    controls : Path, str, DataFrame or People, optional
        Healthy people of sites that the model does not know.
    reading : Reading, optional

    Returns
    -------
    volumes : DataFrame
        The table's rows: participant_id, session, age, sex, site, icv_cm3, and a column `STRUCTURE_cm3` each; missing
        outside the fitted ages.

    Raises
    ------
    MismatchError
        The model has no sites, does not know one of the table's, or was not fitted for this table.
    """
    people = check_fits(model, read_table(table, reading))
    if controls is not None:
        model = transfer(model, controls, reading=reading)
    if not model.choice.sites:
        raise MismatchError(
            people.source,
            expected="a model with sites",
            found=f"one of {model.choice}",
            do="Fit it with sites in --model.",
        )
    sites = people.texts("site")
    known = {name for curve in model.curves.values() if curve.sites is not None for name in curve.sites.names}
    unknown = sorted({site or "not stated" for site in sites if site not in known})
    if unknown:
        do = "Give healthy people of these sites with --controls."
        raise MismatchError(people.source, expected="sites that the model knows", found=listed(unknown), do=do)
    table_out = people.frame[["participant_id", "session", "age", "sex", "site", "icv_cm3"]].copy()
    groups = np.array([group_of(model, sex, pooled=False) for sex in people.texts("sex")])
    for structure in model.structures:
        value = people.volumes[structure].to_numpy(dtype=np.float64)
        adjusted = np.full(len(people), np.nan)
        for group in dict.fromkeys(groups.tolist()):
            curve = model.curves.get((structure, ABSOLUTE, group)) or model.curves.get((structure, ABSOLUTE, "all"))
            if curve is None or curve.sites is None:
                continue
            here = (groups == group) & (people.age >= curve.age_low) & (people.age <= curve.age_high)
            rows = np.flatnonzero(here & np.isfinite(value))
            shift, _, factor = curve.sites.lookup([sites[k] for k in rows])
            mean, own = curve.mean.value(people.age[rows]), curve.fitted_scale(value[rows])
            moved = mean + (own - mean - shift) / factor
            adjusted[rows] = np.exp(moved) if curve.log_volume else moved
        table_out[f"{structure}_cm3"] = adjusted
    return table_out
