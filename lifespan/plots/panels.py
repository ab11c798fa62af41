"""What a picture shows of each structure: curves, bounds, and people as dots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lifespan.arrays import Bools, Floats
from lifespan.measures import measured
from lifespan.models.counts import FEW
from lifespan.models.model import LifespanModel
from lifespan.people import People, fitted_rows

POINTS = 121
"""Ages along a curve."""


@dataclass(frozen=True)
class Line:
    """One group's curve.

    Attributes
    ----------
    group : str
    age, mean, lower, upper : (n,) float
        Years; the measure's unit; 95% prediction bounds.
    few : (n,) bool
        Fewer than 20 people stand behind the curve within five years of that age.
    """

    group: str
    age: Floats
    mean: Floats
    lower: Floats
    upper: Floats
    few: Bools


@dataclass(frozen=True)
class Dots:
    """People of one group: ages (n,) in years and values (n,) in the measure's unit."""

    group: str
    age: Floats
    value: Floats


@dataclass(frozen=True)
class Panel:
    """One structure."""

    structure: str
    lines: tuple[Line, ...]
    dots: tuple[Dots, ...]


def panels(
    model: LifespanModel, people: People | None, measure: str, structures: Sequence[str] | None = None
) -> list[Panel]:
    """Everything to draw of one measure.

    Women and men where the model has both, else all people.

    Parameters
    ----------
    model : LifespanModel
    people : People, optional
        Dots; the table that the model was fitted to, or another that it is for.
    measure : str
    structures : sequence of str, optional
        By default all that are no sums of others, left beside right.
    """
    both = [group for group in ("female", "male") if group in model.groups]
    groups = both if len(both) == 2 else ["all"]
    found = []
    for name in structures or side_by_side(model.parts):
        lines = [_line(model, name, measure, group) for group in groups if (name, measure, group) in model.curves]
        dots = [_dots(model, people, name, measure, line.group) for line in lines] if people is not None else []
        found.append(Panel(name, tuple(lines), tuple(dots)))
    return found


def side_by_side(structures: Sequence[str]) -> list[str]:
    """Structures in their order, each left one followed by its right one."""
    ordered: list[str] = []
    for name in structures:
        for twin in (name, _other_side(name)):
            if twin in structures and twin not in ordered:
                ordered.append(twin)
    return ordered


def _other_side(name: str) -> str:
    for side, other in (("left", "right"), ("right", "left"), ("Left", "Right"), ("Right", "Left")):
        if name.startswith(side):
            return other + name[len(side) :]
    return name


def _line(model: LifespanModel, structure: str, measure: str, group: str) -> Line:
    curve = model.curves[structure, measure, group]
    age = np.linspace(curve.age_low, curve.age_high, POINTS)
    predicted = curve.predict(age)
    lower, upper = predicted.bounds()
    return Line(
        group, age, predicted.quantile(0.5), lower, upper, model.counts.near(group, age, structure, measure) < FEW
    )


def _dots(model: LifespanModel, people: People, structure: str, measure: str, group: str) -> Dots:
    rows = fitted_rows(people, structure, measure, group)
    curve = model.curves[structure, measure, group]
    volume = people.volumes[structure].to_numpy(dtype=np.float64)[rows]
    icv = people.icv_cm3[rows]
    return Dots(group, people.age[rows], measured(measure, volume, icv, curve.icv_exponent, model.reference_icv_cm3))
