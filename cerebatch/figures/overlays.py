"""Pictures of one case: lobules on the scan, and the template's edges on the scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cerebatch.labels import LABELS
from cerebatch.spatial import template
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume, inverse, resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLANES = ("sagittal", "coronal", "axial")
_METADATA = {"Software": None}  # matplotlib's version would change the bytes


def draw_lobules(path: Path, t1w: Volume, dseg: LabelMap, grid: Grid, title: str) -> None:
    """Three planes of the box, plain above, with coloured lobules and a legend below.

    Parameters
    ----------
    path : Path
        PNG.
    t1w : (X, Y, Z) float32
        Normalised.
    dseg : (X, Y, Z) uint8
    grid : Grid
        Of both, MNI frame.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colors = ListedColormap(["#00000000", *(label.color for label in LABELS)])
    figure = Figure(figsize=(15, 9.6), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, color="white", fontsize=13)
    axes = figure.subplots(2, 3)
    at_mm = np.array([8.0, -62.0, -34.0])
    index = np.round(inverse(grid.affine)[:3] @ [*at_mm, 1.0]).astype(int)
    for column, plane in enumerate(_PLANES):
        gray, codes = np.take(t1w, index[column], axis=column), np.take(dseg, index[column], axis=column)
        for row in range(2):
            _show(axes[row, column], gray, vmax=350.0)
        axes[0, column].set_title(f"{plane}, {'xyz'[column]} = {at_mm[column]:g} mm", color="white", fontsize=10)
        axes[1, column].imshow(
            codes.T, origin="lower", cmap=colors, vmin=-0.5, vmax=len(LABELS) + 0.5, alpha=0.6, interpolation="nearest"
        )
    _letter_sides(axes)
    handles = [Patch(color=label.color, label=label.structure) for label in LABELS if label.side == "left"]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=13, fontsize=9, labelcolor="white", facecolor="black"
    )
    figure.savefig(path, dpi=80, metadata=_METADATA)


def draw_registration(path: Path, image: Volume, grid: Grid, mni_from_native: Affine, title: str) -> None:
    """Edges of the template's brain on the scan brought to MNI, three slices of each plane.

    Parameters
    ----------
    path : Path
        PNG.
    image : (X, Y, Z) float32
        The scan as it was read.
    grid : Grid
        Native.
    mni_from_native : (4, 4) float
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    brain, brain_grid = template.t1w(2)
    scan = resample(image, grid, brain_grid, inverse(mni_from_native), order=1)
    figure = Figure(figsize=(14, 12), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, color="white", fontsize=13)
    axes = figure.subplots(3, 3)
    brightest = float(np.percentile(scan[template.brain_mask(2)], 99.5))
    for row, slices_mm in enumerate(((-24.0, 4.0, 28.0), (-76.0, -58.0, 0.0), (-40.0, -24.0, 10.0))):
        for column, at_mm in enumerate(slices_mm):
            position = round(float((at_mm - brain_grid.affine[row, 3]) / brain_grid.affine[row, row]))
            axis: Axes = axes[row, column]
            _show(axis, np.take(scan, position, axis=row), vmax=brightest)
            edges = np.take(brain, position, axis=row).T
            axis.contour(edges, levels=[0.3, 0.75], colors=["red", "yellow"], linewidths=0.7)
            axis.set_title(f"{_PLANES[row]}, {'xyz'[row]} = {at_mm:g} mm", color="white", fontsize=10)
    _letter_sides(axes.T)
    figure.savefig(path, dpi=70, metadata=_METADATA)


def _show(axis: Axes, plane: NDArray[np.float32], vmax: float) -> None:
    axis.imshow(plane.T, origin="lower", cmap="gray", vmin=0.0, vmax=vmax)
    axis.set_axis_off()


def _letter_sides(axes: NDArray[np.object_]) -> None:
    """L and R on coronal and axial pictures; x grows to the right of the person and of the picture."""
    for axis in axes[:, 1:].ravel():
        for letter, place in (("L", 0.02), ("R", 0.95)):
            axis.text(place, 0.93, letter, color="white", fontsize=11, transform=axis.transAxes)
