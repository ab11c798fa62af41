"""One HTML file with curves, bounds and people that works without a network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from lifespan.arrays import Floats
from lifespan.measures import MEASURES, UNITS
from lifespan.models.model import LifespanModel
from lifespan.plots.page import COLOURS
from lifespan.plots.panels import Panel

_DATA = "/*DATA*/null"


def html_page(model: LifespanModel, shown: dict[str, list[Panel]]) -> str:
    """The page as text.

    The data stand in the file as JSON; a script of the page's own draws them. Nothing is fetched. It holds ages, sexes
    and volumes of the people, without their names.

    Parameters
    ----------
    model : LifespanModel
    shown : dict
        Measure -> panels.
    """
    content = {
        "tool": model.tool,
        "model": str(model.choice),
        "colours": COLOURS,
        "people": model.counts.people,
        "warnings": list(model.warnings),
        "measures": [
            {"name": measure, "title": MEASURES[measure], "unit": UNITS[measure], "panels": list(map(_panel, panels))}
            for measure, panels in shown.items()
        ],
    }
    # "</script>" in a name would end the script; JSON can say "<" otherwise.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = (files("lifespan.plots") / "page.html").read_text(encoding="utf-8")
    assert template.count(_DATA) == 1
    return template.replace(_DATA, data)


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "structure": panel.structure,
        "lines": [
            {
                "group": line.group,
                "age": _short(line.age),
                "mean": _short(line.mean),
                "lower": _short(line.lower),
                "upper": _short(line.upper),
                "few": [int(few) for few in line.few],
            }
            for line in panel.lines
        ],
        "dots": [{"group": d.group, "age": _short(d.age), "value": _short(d.value)} for d in panel.dots],
    }


def _short(values: Floats) -> list[float]:
    """Five digits: more than a screen can show."""
    return [float(f"{value:.5g}") for value in np.asarray(values)]
