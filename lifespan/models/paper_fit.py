"""The paper's models of all structures of one group at once."""

from __future__ import annotations

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.curve import Curve
from lifespan.models.decisions import choose
from lifespan.models.mean import MeanCurve
from lifespan.models.search import fit_candidates
from lifespan.models.spread import Spread


def fit_paper(structures: list[str], measure: str, group: str, age: Floats, values: Floats) -> list[Curve]:
    """Fit the six candidates to every structure and take one by the paper's rule.

    Parameters
    ----------
    structures : list of S str
    measure, group : str
    age : (n,) float
        Years.
    values : (n, S) float
        In the measure's unit; none missing.

    Returns
    -------
    curves : list of Curve
    """
    basis = AgeBasis.of(age)
    fits = fit_candidates(age, values, basis, lambda columns: columns)
    chosen, decisions = choose(fits)
    return [
        Curve(
            structure,
            measure,
            group,
            MeanCurve.of(fits[chosen[s]], s, basis),
            Spread(basis, np.array([0.5 * np.log(fits[chosen[s]].variance[s])])),
            observations=len(age),
            people=len(age),
            age_low=float(age.min()),
            age_high=float(age.max()),
            decisions=tuple(decisions[s]),
        )
        for s, structure in enumerate(structures)
    ]
