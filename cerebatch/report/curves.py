"""Curves of a model with one person on them, as SVG that is part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cerebatch.report.norms import Place

if TYPE_CHECKING:
    from lifespan import LifespanModel

_WIDTH, _HEIGHT = 190.0, 108.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 30.0, 6.0, 8.0, 18.0
_AGES = 49

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """One structure of one side.

    Attributes
    ----------
    title, words : str
        `words` says what the picture shows.
    band, middle : str
        Path and points in the picture's own units.
    x, y : float
        Of the person.
    status : str
    ages, values : list of (float, str)
        Ticks: place and what is written there.
    """

    title: str
    words: str
    band: str
    middle: str
    x: float
    y: float
    status: str
    ages: list[tuple[float, str]]
    values: list[tuple[float, str]]
    width: float = _WIDTH
    height: float = _HEIGHT
    floor: float = _HEIGHT - _BOTTOM
    left: float = _LEFT
    right: float = _WIDTH - _RIGHT


def charts(
    model: LifespanModel, places: dict[tuple[str, str], Place], values: dict[tuple[str, str], float], age: float
) -> list[Chart]:
    """A chart of each structure and side that is no sum, volumes in cm3.

    Parameters
    ----------
    model : LifespanModel
    places : dict
        From `norms.places`.
    values : dict
        (structure, side) -> cm3 of the person.
    age : float
        Years.
    """
    found = []
    for name in model.parts:
        side, _, structure = name.partition(" ")
        place = places.get((structure, side))
        if place is None or place.get("volume_status", "not scored") == "not scored":
            continue
        found.append(_chart(model, name, place, values[structure, side], age))
    return found


def _chart(model: LifespanModel, name: str, place: Place, value: float, age: float) -> Chart:
    group = place["norm_group"]
    curve = model.curves[name, "absolute", group]
    ages = np.linspace(curve.age_low, curve.age_high, _AGES)
    table = model.predict([float(a) for a in ages], structure=name, group=group)
    mean, lower, upper = (table[column].to_numpy(dtype=np.float64) for column in ("mean", "lower", "upper"))
    low, high = min(float(lower.min()), value), max(float(upper.max()), value)
    room = 0.06 * (high - low)
    low, high = low - room, high + room

    def x(years: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(_LEFT + (years - ages[0]) / (ages[-1] - ages[0]) * (_WIDTH - _LEFT - _RIGHT))

    def y(cm3: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(_TOP + (high - cm3) / (high - low) * (_HEIGHT - _TOP - _BOTTOM))

    band = _points(np.concatenate([x(ages), x(ages)[::-1]]), np.concatenate([y(upper), y(lower)[::-1]]))
    status = place["volume_status"]
    words = (
        f"{name}: curve of {group} people from {ages[0]:.0f} to {ages[-1]:.0f} years with 95% bounds; this person, "
        f"{place['volume_lower']} to {place['volume_upper']} cm3 expected, is {status}"
    )
    ticks = [(float(x(a)), f"{a:g}") for a in _round_between(ages[0], ages[-1], 4)]
    marks = [(float(y(v)), f"{v:g}") for v in _round_between(low, high, 3)]
    return Chart(name, words, band, _points(x(ages), y(mean)), float(x(age)), float(y(value)), status, ticks, marks)


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _round_between(low: float, high: float, about: int) -> list[float]:
    """Round numbers for an axis."""
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(power * k) for k in (1, 2, 5, 10) if power * k >= raw)
    return [round(float(v), 10) for v in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]
