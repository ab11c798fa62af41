"""Effect sizes of patients against controls, with their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

_SOUND, _FOUND = "#666666", "#c8500a"


def plot_effects(effects: pd.DataFrame, folder: Path | str) -> list[Path]:
    """Draw d with its 95% interval, one panel a measure; orange where the false discovery rate is below 5%.

    Parameters
    ----------
    effects : DataFrame
        What `compare_groups` gave.
    folder : Path or str
        Made if it is not there.

    Returns
    -------
    paths : list of Path
        groups.png and groups.svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    measures = list(dict.fromkeys(effects["measure"]))
    most = int(effects["measure"].value_counts().max())
    figure = Figure(figsize=(5.0 * len(measures), 0.22 * most + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(1, len(measures), squeeze=False))[0]
    for axis, measure in zip(axes, measures, strict=True):
        part = effects[effects["measure"] == measure]
        axis.axvline(0.0, color=_SOUND, linewidth=0.6)
        for place, row in enumerate(part.itertuples()):
            colour = _FOUND if row.significant else _SOUND
            axis.plot([row.d_low, row.d_high], [place, place], color=colour, linewidth=1.2)
            axis.plot(row.d, place, marker="o", markersize=3.5, color=colour)
        axis.set_yticks(np.arange(len(part)), [str(name).replace("_", " ") for name in part["structure"]], fontsize=7)
        axis.invert_yaxis()
        axis.set_xlabel("patients less controls, d with 95% interval", fontsize=8)
        axis.set_title(f"{measure.replace('_', ' ')}; orange: q < 0.05", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    paths = [folder / f"groups{suffix}" for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, dpi=130)
    return paths
