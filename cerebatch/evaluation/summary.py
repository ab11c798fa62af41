"""Tables over cases: mean and spread by region, and two methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from cerebatch.evaluation.scores import MEANS, NAN, Score
from cerebatch.labels import LABELS
from cerebatch.measures.overlap import SCORED

Scores = Mapping[str, Sequence[Score]]
"""Case -> its scores, as `scores.score` gives them."""

MEASURES = ("dice", "hausdorff95_mm", "difference_cm3", "difference_percent")


@dataclass(frozen=True)
class Spread:
    """Mean over cases and standard deviation (n - 1), NaN left out.

    Attributes
    ----------
    mean, sd : float
        NaN where there is nothing; `sd` where there is one case.
    """

    mean: float
    sd: float


@dataclass(frozen=True)
class RegionSummary:
    """A region over all cases.

    Attributes
    ----------
    region, kind : str
    dice, hausdorff95_mm, difference_cm3, difference_percent : Spread
    structures_sd : float
        For a mean over structures: standard deviation of the structures' own mean Dice; NaN otherwise.
    """

    region: str
    kind: str
    dice: Spread
    hausdorff95_mm: Spread
    difference_cm3: Spread
    difference_percent: Spread
    structures_sd: float = NAN


@dataclass(frozen=True)
class Comparison:
    """Two methods on one region.

    Attributes
    ----------
    region, kind : str
    cases : int
        That both methods have a value for.
    one, other : float
        Mean Dice over these cases.
    p : float
        Two-sided Wilcoxon test of the paired differences of Dice; NaN where none differs.
    p_holm : float
        Corrected for the number of structures (Holm 1979); NaN for other kinds.
    """

    region: str
    kind: str
    cases: int
    one: float
    other: float
    p: float
    p_holm: float = NAN


def summarise(scores: Scores) -> list[RegionSummary]:
    """Mean and standard deviation over cases of every region.

    The mean of Dice over structures is taken for each case first, and its spread is that over cases.

    Parameters
    ----------
    scores : mapping
        At least one case.
    """
    first = next(iter(scores.values()))
    values = {measure: _table(scores, measure) for measure in MEASURES}
    by_structure = np.array([_spread(column).mean for column in values["dice"].T])
    # Scores begin with the structures in the order of their codes.
    held = dict(zip(MEANS, (range(len(LABELS)), [code - 1 for code in SCORED]), strict=True))
    return [
        RegionSummary(
            one.region,
            one.kind,
            _spread(values["dice"][:, k]),
            _spread(values["hausdorff95_mm"][:, k]),
            _spread(values["difference_cm3"][:, k]),
            _spread(values["difference_percent"][:, k]),
            _spread(by_structure[list(held[one.region])]).sd if one.region in held else NAN,
        )
        for k, one in enumerate(first)
    ]


def spread_of_names(scores: Scores, region: str) -> Spread:
    """Names of one region over all cases (`agreement.RegionScore`); NaN where it has none.

    Parameters
    ----------
    scores : mapping
    region : str
    """
    found = [getattr(each, "names", NAN) for of_case in scores.values() for each in of_case if each.region == region]
    return _spread(np.array(found, dtype=np.float64))


def compare(one: Scores, other: Scores) -> list[Comparison]:
    """Paired two-sided Wilcoxon test of Dice (Wilcoxon 1945; zero differences left out) by region.

    Parameters
    ----------
    one, other : mapping
        Two methods; cases that only one of them has are not used. At least one is in both.
    """
    cases = [case for case in one if case in other]
    first = one[cases[0]]
    ours, theirs = (_table({case: scores[case] for case in cases}, "dice") for scores in (one, other))
    found = [_compared(score.region, score.kind, ours[:, k], theirs[:, k]) for k, score in enumerate(first)]
    tested = [k for k, each in enumerate(found) if each.kind == "structure" and np.isfinite(each.p)]
    if tested:
        corrected = multipletests([found[k].p for k in tested], method="holm")[1]
        for k, p in zip(tested, corrected, strict=True):
            each = found[k]
            found[k] = Comparison(each.region, each.kind, each.cases, each.one, each.other, each.p, float(p))
    return found


def _compared(region: str, kind: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Comparison:
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    p = float(stats.wilcoxon(ours, theirs).pvalue) if (ours != theirs).any() else NAN
    return Comparison(region, kind, int(both.sum()), _spread(ours).mean, _spread(theirs).mean, p)


def _table(scores: Scores, measure: str) -> NDArray[np.float64]:
    """Values (cases, regions) of one measure."""
    return np.array([[getattr(score, measure) for score in of_case] for of_case in scores.values()], dtype=np.float64)


def _spread(values: NDArray[np.float64]) -> Spread:
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if known.size else NAN
    return Spread(mean, float(known.std(ddof=1)) if known.size > 1 else NAN)
