"""`plot`: every picture of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lifespan.models.model import LifespanModel
from lifespan.people import People
from lifespan.plots.derived_pages import Derived, draw_derived
from lifespan.plots.html import html_page
from lifespan.plots.page import draw_page
from lifespan.plots.panels import panels
from lifespan.scoring import check_fits
from lifespan.tables.read import Reading, read_table


def plot(
    model: LifespanModel,
    folder: Path | str,
    table: Path | str | pd.DataFrame | People | None = None,
    *,
    structures: Sequence[str] | None = None,
    reading: Reading | None = None,
) -> list[Path]:
    """Draw curves, bounds and people: a PNG and an SVG for each measure, and one interactive HTML file.

    Beside them centile fans, rates of change, the age of the peak, and men less women, with 95% intervals, as pictures
    and as derived.tsv, peaks.tsv and sexes.tsv.

    Parameters
    ----------
    model : LifespanModel
    folder : Path or str
        Made if it is not there.
    table : Path, str, DataFrame or People, optional
        People to draw as dots.
    structures : sequence of str, optional
        By default all that are no sums of others.
    reading : Reading, optional

    Returns
    -------
    paths : list of Path

    Raises
    ------
    TableError
        The table cannot be used, or the model was not fitted for it.
    ValueError
        A structure that the model has not.
    """
    unknown = sorted(set(structures or ()) - set(model.structures))
    if unknown:
        raise ValueError(f"structures {', '.join(unknown)}: expected some of {', '.join(model.structures)}.")
    people = None if table is None else check_fits(model, read_table(table, reading))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shown = {measure: panels(model, people, measure, structures) for measure in model.measures}
    derived, paths = Derived.of(model), list[Path]()
    for measure, found in shown.items():
        files = [folder / f"lifespan_{measure}{suffix}" for suffix in (".png", ".svg")]
        draw_page(model, found, measure, files)
        paths += files
        paths += draw_derived(model, derived, measure, [panel.structure for panel in found], folder)
    page = folder / "lifespan.html"
    page.write_text(html_page(model, shown), encoding="utf-8")
    for name, values in (("derived", derived.curves), ("peaks", derived.peaks), ("sexes", derived.sexes)):
        if len(values):
            paths.append(folder / f"{name}.tsv")
            values.to_csv(paths[-1], sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    return [*paths, page]
