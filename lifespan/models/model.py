"""A lifespan model: the curves of one table of people, and what they may be used for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lifespan.measures import UNITS
from lifespan.models.choice import ModelChoice
from lifespan.models.counts import Counts
from lifespan.models.curve import Curve
from lifespan.people import GROUPS

Key = tuple[str, str, str]
"""Structure, measure, group."""


def name_digest(participant_id: str) -> str:
    """Eight bytes that stand for a name in a model file: who was in the fit can be asked, names cannot be read off."""
    return hashlib.blake2b(participant_id.encode(), digest_size=8, person=b"lifespan").hexdigest()


@dataclass(frozen=True)
class LifespanModel:
    """Curves of all structures, measures and groups.

    Attributes
    ----------
    curves : dict
        (structure, measure, group) -> Curve.
    choice : ModelChoice
    tool, icv_method : str
        What made the volumes and intracranial volumes; other ones are refused.
    source : str
        Table that it was fitted to.
    counts : Counts
    reference_icv_cm3 : float or None
        Of the power law.
    totals : frozenset of str
        Structures that are sums of others.
    warnings : tuple of str
    people_digests : frozenset of str
        `name_digest` of everybody who was in the fit.
    """

    curves: dict[Key, Curve]
    choice: ModelChoice
    tool: str
    icv_method: str
    source: str
    counts: Counts
    reference_icv_cm3: float | None = None
    totals: frozenset[str] = field(default=frozenset())
    warnings: tuple[str, ...] = ()
    people_digests: frozenset[str] = field(default=frozenset())

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(structure for structure, _, _ in self.curves))

    @property
    def parts(self) -> tuple[str, ...]:
        """Structures that are no sums of others."""
        return tuple(name for name in self.structures if name not in self.totals)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(measure for _, measure, _ in self.curves))

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(group for group in GROUPS if any(group == key[2] for key in self.curves))

    def predict(
        self,
        ages: Sequence[float],
        *,
        structure: str,
        measure: str = "absolute",
        group: str = "all",
        site: str | None = None,
    ) -> pd.DataFrame:
        """Curve and bounds at some ages.

        Parameters
        ----------
        ages : sequence of n float
            Years; those outside the fitted range give missing values.
        structure, measure, group : str
        site : str, optional
            Of a model with sites; by default a random one.

        Returns
        -------
        table : DataFrame of n rows
            age, mean, lower, upper (95% prediction bounds), people_near.
        """
        curve = self.curves[structure, measure, group]
        age = np.asarray(ages, dtype=np.float64)
        predicted = curve.predict(age, None if site is None else [site] * len(age))
        lower, upper = predicted.bounds()
        table = pd.DataFrame({"age": age, "mean": predicted.curve, "lower": lower, "upper": upper})
        table.loc[(age < curve.age_low) | (age > curve.age_high), ["mean", "lower", "upper"]] = np.nan
        table["people_near"] = self.counts.near(group, age, structure, measure).astype(int)
        return table

    def curve_table(self, step: float = 1.0) -> pd.DataFrame:
        """Every curve with its bounds, at ages from the youngest to the oldest in steps of some years."""
        tables = []
        for (structure, measure, group), curve in self.curves.items():
            ages = np.append(np.arange(curve.age_low, curve.age_high, step), curve.age_high)
            table = self.predict([float(age) for age in ages], structure=structure, measure=measure, group=group)
            table.insert(0, "structure", structure)
            table.insert(1, "measure", measure)
            table.insert(2, "unit", UNITS[measure])
            table.insert(3, "group", group)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def decision_table(self) -> pd.DataFrame:
        """One row a candidate of each curve: its tests, its BIC, and why it was taken or not."""
        rows = []
        for (structure, measure, group), curve in self.curves.items():
            for decision in curve.decisions:
                row = {"structure": structure, "measure": measure, "group": group} | decision.to_json()
                row["t_p"] = " ".join(f"{term}={p:.3g}" for term, p in decision.t_p.items())
                rows.append(row)
        return pd.DataFrame(rows)
