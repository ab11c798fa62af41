"""The page of a check: quantiles, worms and coverage by age of people whom the models had not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from lifespan.arrays import Floats
from lifespan.checking import LEAST_IN_BIN, Check

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lifespan.held_out import HeldOut

_POINTS = 200
_COLOUR, _PALE = "#1f5fa8", "#9db8d6"
_WORM = 0.8


def plot_check(check: Check, folder: Path | str) -> list[Path]:
    """Draw a row for each model: quantiles, worms, centiles' distribution, and coverage by age.

    A worm is the difference between the quantiles of z and those of a normal distribution: level and in the pale band
    (95%, pointwise) where the model holds; a slope tells of spread, a bow of skewness, an S of tails (van Buuren and
    Fredriks, Statistics in Medicine 20, 2001, 1259-1277). Thin lines are structures.

    Parameters
    ----------
    check : Check
    folder : Path or str
        Made if it is not there.

    Returns
    -------
    paths : list of Path
        check.png and check.svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = len(check.held_out)
    figure = Figure(figsize=(12.0, 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(rows, 4, squeeze=False))
    for line, one in zip(axes, check.held_out, strict=True):
        chosen = " (recommended)" if one.model == check.recommended else ""
        line[0].set_ylabel(f"{one.model}{chosen}\nz of held-out people", fontsize=8)
        _quantiles(line[0], line[1], one)
        _centiles(line[2], one)
        _coverage(line[3], check, one.model)
    for axis, title in zip(axes[0], ("quantiles", "worms", "centiles (even: 1)", "inside 95% bounds"), strict=True):
        axis.set_title(title, fontsize=9)
    for axis, name in zip(axes[-1], ("normal quantile", "normal quantile", "centile", "age, years"), strict=True):
        axis.set_xlabel(name, fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=7, length=2)
        axis.spines[["top", "right"]].set_visible(False)
    paths = [folder / f"check{suffix}" for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, dpi=130)
    return paths


def worm(z: Floats) -> tuple[Floats, Floats, Floats]:
    """Normal quantiles (k,), those of z less them, and half the width of the pointwise 95% band.

    Parameters
    ----------
    z : (n,) float
    """
    n = len(z)
    share = (np.arange(1, n + 1) - 0.5) / n
    some = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))
    normal = special.ndtri(share)[some]
    density = np.exp(-0.5 * normal**2) / np.sqrt(2.0 * np.pi)
    half = 1.96 * np.sqrt(share * (1.0 - share) / n)[some] / density
    return np.asarray(normal), np.asarray(np.sort(z)[some] - normal), np.asarray(half)


def _quantiles(quantiles: Axes, worms: Axes, one: HeldOut) -> None:
    for _, part in one.rows.groupby("structure", sort=False):
        normal, off, _ = worm(part["z"].to_numpy(dtype=np.float64))
        quantiles.plot(normal, normal + off, color=_PALE, linewidth=0.6)
        worms.plot(normal, off, color=_PALE, linewidth=0.6)
    normal, off, _ = worm(one.rows["z"].to_numpy(dtype=np.float64))
    # Structures of one person hang together: the band is that of as many people.
    _, _, half = worm(np.zeros(one.rows["participant_id"].nunique()))
    at, *_ = worm(np.zeros(one.rows["participant_id"].nunique()))
    quantiles.plot(normal, normal, color="#666666", linewidth=0.6, linestyle="--")
    quantiles.plot(normal, normal + off, color=_COLOUR, linewidth=1.6)
    worms.fill_between(at, -half, half, color="#666666", alpha=0.15, linewidth=0)
    worms.plot(normal, off, color=_COLOUR, linewidth=1.6)
    worms.set_ylim(-_WORM, _WORM)


def _centiles(axis: Axes, one: HeldOut) -> None:
    pit = special.ndtr(one.rows["z"].to_numpy(dtype=np.float64))
    axis.hist(100.0 * pit, bins=[5.0 * k for k in range(21)], weights=np.full(len(pit), 20.0 / len(pit)), color=_PALE)
    axis.axhline(1.0, color="#666666", linewidth=0.6, linestyle="--")


def _coverage(axis: Axes, check: Check, model: str) -> None:
    bins = check.bins
    own = bins[(bins["model"] == model) & (bins["by"] == "age") & (bins["people"] >= LEAST_IN_BIN)]
    own = own[own["structure"] == "all"]
    at, share = np.arange(len(own)), 100.0 * own["inside"].to_numpy(dtype=np.float64)
    error = np.abs(100.0 * own[["inside_low", "inside_high"]].to_numpy(dtype=np.float64).T - share)
    axis.axhline(95.0, color="#666666", linewidth=0.6, linestyle="--")
    axis.errorbar(at, share, yerr=error, fmt="o", markersize=3, color=_COLOUR, linewidth=1.0)
    axis.set_xticks(at, list(own["bin"]), rotation=45)
    axis.set_ylim(min(84.0, float(np.min(share - error[0], initial=84.0))), 101.0)
