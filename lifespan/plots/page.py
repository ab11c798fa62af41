"""A page of small multiples, for matplotlib's files: PNG and SVG."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifespan.measures import MEASURES, UNITS
from lifespan.models.counts import FEW
from lifespan.models.model import LifespanModel
from lifespan.people import NOT_STATED
from lifespan.plots.panels import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"female": "#c8500a", "male": "#1f5fa8", "all": "#333333"}
"""Orange and blue: told apart by people of every colour vision."""

_WIDTH, _HEIGHT = 2.5, 1.95
_MOST_COLUMNS = 6
_DOTS_OF_FULL_INK = 150


def draw_page(model: LifespanModel, shown: list[Panel], measure: str, paths: list[Path]) -> None:
    """Draw one page and write it to files, by their suffixes.

    Parameters
    ----------
    model : LifespanModel
    shown : list of Panel
    measure : str
    paths : list of Path
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_MOST_COLUMNS, max(2, math.ceil(math.sqrt(len(shown) / 2)) * 2)) if len(shown) > 1 else 1
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(5.2, columns * _WIDTH + 0.5), rows * _HEIGHT + 1.25), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False, sharex=True))
    for place, axis in enumerate(axes.flat):
        if place >= len(shown):
            axis.set_axis_off()
            continue
        _draw(axis, shown[place])
        if place % columns == 0:
            axis.set_ylabel(UNITS[measure], fontsize=8)
        if place + columns >= len(shown):
            axis.set_xlabel("age, years", fontsize=8)
            axis.tick_params(labelbottom=True)
    _head(figure, model, shown, measure)
    for path in paths:
        figure.savefig(path, dpi=130)


def _draw(axis: Axes, panel: Panel) -> None:
    for dots in panel.dots:
        ink = min(0.6, max(0.06, 0.6 * math.sqrt(_DOTS_OF_FULL_INK / max(1, len(dots.age)))))
        axis.plot(
            dots.age,
            dots.value,
            linestyle="none",
            marker=".",
            markersize=3.2,
            markeredgewidth=0,
            alpha=ink,
            color=COLOURS[dots.group],
            rasterized=True,
        )
    for line in panel.lines:
        colour = COLOURS[line.group]
        axis.fill_between(line.age, line.lower, line.upper, color=colour, alpha=0.08, linewidth=0)
        for bound in (line.lower, line.upper):
            axis.plot(line.age, bound, color=colour, linewidth=0.7, alpha=0.8)
        axis.plot(line.age, np.where(line.few, np.nan, line.mean), color=colour, linewidth=1.8)
        axis.plot(line.age, np.where(line.few, line.mean, np.nan), color=colour, linewidth=1.4, linestyle=(0, (2, 1.5)))
    axis.set_title(panel.structure.replace("_", " "), fontsize=9, pad=3)
    axis.tick_params(labelsize=7, length=2)
    axis.margins(x=0.02)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_ylim(*_limits(panel))


def _limits(panel: Panel) -> tuple[float, float]:
    """Room for the bounds and for all but the farthest people."""
    low = min([float(line.lower.min()) for line in panel.lines])
    high = max([float(line.upper.max()) for line in panel.lines])
    values = np.concatenate([dots.value for dots in panel.dots]) if panel.dots else np.array([low, high])
    if len(values):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    room = 0.04 * (high - low)
    return low - room, high + room


def _head(figure: Figure, model: LifespanModel, shown: list[Panel], measure: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    groups = list(dict.fromkeys(line.group for panel in shown for line in panel.lines))
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLOURS[g], linewidth=1.8, label=f"{g} ({model.counts.people[g]} people)") for g in groups
    ]
    handles.append(
        Line2D([], [], color="#666666", linewidth=1.4, linestyle=(0, (2, 1.5)), label=f"fewer than {FEW} near")
    )
    handles.append(Patch(facecolor="#666666", alpha=0.25, label="95% prediction bounds"))
    if any(panel.dots for panel in shown):
        handles.append(Line2D([], [], color="#666666", linestyle="none", marker=".", label="one person"))
    tool = "" if model.tool == NOT_STATED else f", {model.tool}"
    figure.suptitle(f"{MEASURES[measure][0].upper()}{MEASURES[measure][1:]} against age{tool}; model: {model.choice}")
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
