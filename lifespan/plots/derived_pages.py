"""Pages of what follows from the curves: centile fans, rates of change, men less women."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lifespan.deriving import derived_table, peak_table, sex_table
from lifespan.measures import MEASURES, UNITS
from lifespan.models.model import LifespanModel
from lifespan.plots.page import COLOURS
from lifespan.plots.panels import side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COLUMNS = 6


@dataclass(frozen=True)
class Derived:
    """What is drawn: `derived_table`, `peak_table` and `sex_table` of one model."""

    curves: pd.DataFrame
    peaks: pd.DataFrame
    sexes: pd.DataFrame

    @classmethod
    def of(cls, model: LifespanModel) -> Derived:
        return cls(derived_table(model), peak_table(model), sex_table(model))


def draw_derived(
    model: LifespanModel, derived: Derived, measure: str, structures: list[str], folder: Path
) -> list[Path]:
    """Draw a page of fans, one of rates and, where women and men were fitted, one of their difference.

    Parameters
    ----------
    model : LifespanModel
    derived : Derived
    measure : str
    structures : list of str
    folder : Path

    Returns
    -------
    paths : list of Path
        PNG and SVG of each.
    """
    curves, peaks, sexes = derived.curves, derived.peaks, derived.sexes
    group = "all" if "all" in model.groups else model.groups[0]
    own = curves[(curves["measure"] == measure) & (curves["group"] == group)]
    tops = peaks[(peaks["measure"] == measure) & (peaks["group"] == group)].set_index("structure")
    site = "; centiles of a random site" if model.choice.sites else ""
    unit = UNITS[measure]

    def fan(axis: Axes, part: pd.DataFrame) -> None:
        age, colour = part["age"], COLOURS[group]
        for low, high, ink in (("p5", "p95", 0.12), ("p25", "p75", 0.2)):
            axis.fill_between(age, part[low], part[high], color=colour, alpha=ink, linewidth=0)
        axis.plot(age, part["p50"], color=colour, linewidth=0.8, linestyle="--")
        axis.plot(age, part["mean"], color=colour, linewidth=1.6)
        top = tops.loc[part["structure"].iloc[0]]
        if not top["at_limit"]:
            axis.plot([top["low"], top["high"]], [top["value"]] * 2, color="#c8500a", linewidth=2.2)
            axis.plot(top["peak_age"], top["value"], marker="o", markersize=4, color="#c8500a")

    def rate(axis: Axes, part: pd.DataFrame) -> None:
        axis.axhline(0.0, color="#666666", linewidth=0.6)
        axis.fill_between(part["age"], part["rate_low"], part["rate_high"], color="#333333", alpha=0.2, linewidth=0)
        axis.plot(part["age"], part["rate"], color="#333333", linewidth=1.4)
        # Where few people are the rate runs off; the picture shows the rest.
        many = part[part["people_near"] >= 20]
        if len(many):
            axis.set_ylim(float(many["rate_low"].min()), float(many["rate_high"].max()))

    def difference(axis: Axes, part: pd.DataFrame) -> None:
        axis.axhline(0.0, color="#666666", linewidth=0.6)
        axis.fill_between(part["age"], part["low"], part["high"], color=COLOURS["male"], alpha=0.2, linewidth=0)
        axis.plot(part["age"], part["difference"], color=COLOURS["male"], linewidth=1.4)

    what = MEASURES[measure]
    fans = f"{what} ({group}): mean, centiles 5, 25, 50, 75, 95, age of the peak with 95% interval{site}"
    pages: list[tuple[str, str, str, pd.DataFrame, Callable[[Axes, pd.DataFrame], None]]] = [
        ("fan", fans, unit, own, fan),
        ("rate", f"{what} ({group}): change a year with 95% interval", f"{unit} a year", own, rate),
    ]
    if len(sexes) and (sexes["measure"] == measure).any():
        title = f"{what}: men less women with 95% interval"
        pages.append(("sexes", title, unit, sexes[sexes["measure"] == measure], difference))
    paths = []
    for name, title, label, table, draw in pages:
        files = [folder / f"{name}_{measure}{suffix}" for suffix in (".png", ".svg")]
        _page(table, side_by_side(structures), title, label, draw, files)
        paths += files
    return paths


def _page(
    table: pd.DataFrame,
    structures: list[str],
    title: str,
    label: str,
    draw: Callable[[Axes, pd.DataFrame], None],
    files: list[Path],
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = {name: table[table["structure"] == name] for name in structures}
    parts = {name: part for name, part in parts.items() if len(part)}
    columns = min(_MOST_COLUMNS, max(1, math.ceil(math.sqrt(len(parts)))))
    rows = math.ceil(len(parts) / columns)
    figure = Figure(figsize=(max(6.4, 2.5 * columns + 0.5), 1.95 * rows + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False, sharex=True))
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (axis, (name, part)) in enumerate(zip(axes.flat, parts.items(), strict=False)):
        axis.set_axis_on()
        draw(axis, part)
        axis.set_title(name.replace("_", " "), fontsize=9, pad=3)
        axis.tick_params(labelsize=7, length=2)
        axis.spines[["top", "right"]].set_visible(False)
        if place % columns == 0:
            axis.set_ylabel(label, fontsize=8)
        if place + columns >= len(parts):
            axis.set_xlabel("age, years", fontsize=8)
            axis.tick_params(labelbottom=True)
    figure.suptitle(title[0].upper() + title[1:], fontsize=10)
    for path in files:
        figure.savefig(path, dpi=130)
