"""Merging a cohort: tables, curves and the page, safe while cases still arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from cerebatch.figures.slices import Images, thumbnail
from cerebatch.io.atomic import write_text
from cerebatch.quality.rating import RATINGS
from cerebatch.report import cohort_tables as tables
from cerebatch.report.case_table import Layout, as_ceres, as_csv, ceres_row
from cerebatch.report.cohort_model import fit_cohort, save_cohort
from cerebatch.report.cohort_page import THUMBNAIL_BYTES, THUMBNAILS, cohort_html
from cerebatch.report.norms import describe, read_norms
from cerebatch.report.pages import FOLDER
from cerebatch.report.result import Person, Result
from lifespan.simulated import is_simulated

if TYPE_CHECKING:
    from lifespan import LifespanModel


@dataclass(frozen=True)
class Merged:
    """What `merge` wrote: how many cases are in the tables, and how many are not."""

    cases: int
    left_out: int


def merge(
    out: Path,
    folders: Mapping[str, Path],
    unfinished: Mapping[str, str],
    failed_in: Mapping[str, tuple[str, str]],
    people: Mapping[str, Person],
    *,
    norms: Path | None = None,
    layout: Layout = "tidy",
    processes: int = 1,
    tell: Callable[[str], None] = lambda words: None,
) -> Merged:
    """Write volumes, quality, flags and failures as TSV with data dictionaries, curves, and ``cohort.html``.

    Every file is written under another name and renamed. A case that is not whole is left out and named.

    Parameters
    ----------
    out : Path
        Folder of the run.
    folders : mapping
        Finished case -> folder that holds its ``anat/``.
    unfinished : mapping
        Other case -> why.
    failed_in : mapping
        Case that failed -> stage and kind.
    people : mapping
        Finished case -> person.
    norms : Path or None
        Model whose curves are drawn; without one the cohort's own are fitted, if there are enough people.
    layout : {"tidy", "ceres"}
        Of volumes.csv.
    processes : int
        For the thumbnails.
    tell : callable
        Gets sentences.
    """
    results, unreadable = tables.read_results(folders)
    missing = {**unfinished, **unreadable}
    volumes, flags = tables.volume_rows(results, people), tables.flag_rows(results)
    quality, failures = tables.quality_rows(results), tables.failure_rows(missing, failed_in)
    tables.write_table(out / "volumes.tsv", volumes, tables.volume_dictionary(volumes))
    tables.write_table(out / "quality.tsv", quality, tables.quality_dictionary(quality))
    tables.write_table(out / "flags.tsv", flags, tables.FLAGS)
    tables.write_table(out / "failures.tsv", failures, tables.FAILURES)
    if results:
        ceres = layout == "ceres"
        text = as_ceres([ceres_row(result, people[result.name]) for result in results]) if ceres else as_csv(volumes)
        write_text(out / "volumes.csv", text)
    model, about = _curves(out, results, people, norms)
    if model is not None and norms is None:
        save_cohort(model, out / "lifespan")
    tell(about)
    pages = {
        result.name: f"{FOLDER}/{result.name}.html"
        for result in results
        if (out / FOLDER / f"{result.name}.html").exists()
    }
    html = cohort_html(
        volumes,
        flags,
        failures,
        pages=pages,
        thumbnails=_thumbnails(results, processes),
        model=model,
        about_model=about,
        version=version("cerebatch"),
    )
    write_text(out / "cohort.html", html)
    return Merged(len(results), len(missing))


def _curves(
    out: Path, results: list[Result], people: Mapping[str, Person], norms: Path | None
) -> tuple[LifespanModel | None, str]:
    """The model whose curves the page draws, and what it says of them."""
    if norms is None and is_simulated(out):
        return None, "No curves were fitted: these people are simulated, and no bounds are made from them."
    if norms is None:
        return fit_cohort(results, people)
    model = read_norms(norms)
    return model, "Curves of the norms: {People} people ({Tool}; model {Model}).".format(**describe(model))


def _thumbnails(results: list[Result], processes: int) -> dict[str, str]:
    """Pictures of the flagged cases, the gravest first, as many as there is room for."""
    letters = list(RATINGS)
    flagged = [result for result in results if result.rating["Rating"] != "A"]
    flagged.sort(key=lambda result: (-letters.index(result.rating["Rating"]), -len(result.rating["Flags"])))
    asked = [(result.name, result.anat, result.resolution) for result in flagged[:THUMBNAILS]]
    if processes < 2 or len(asked) < 8:
        made = [_thumbnail(one) for one in asked]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            made = list(pool.map(_thumbnail, asked, chunksize=8))
    kept: dict[str, str] = {}
    room = THUMBNAIL_BYTES
    for (name, _, _), uri in zip(asked, made, strict=True):
        room -= len(uri)
        if uri and room > 0:
            kept[name] = uri
    return kept


def _thumbnail(asked: tuple[str, Path, float]) -> str:
    """Empty where the images are not there any more."""
    try:
        return thumbnail(Images.of(*asked))
    except OSError:
        return ""
