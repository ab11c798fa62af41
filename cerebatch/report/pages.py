"""Writing the pages of finished cases, several at a time, each only if what it shows has changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from cerebatch.errors import CerebatchError
from cerebatch.io.atomic import write_text, written_whole
from cerebatch.io.files import write_json, write_rows
from cerebatch.io.stamp import file_sha256
from cerebatch.report.case_table import Layout, case_rows, csv_path, csv_text, data_dictionary
from cerebatch.report.pdf import can_write_pdf, write_pdf
from cerebatch.report.result import Person, read_result

VERSION = 1
"""Of the pages; raised when other pictures or words are on them. The templates tell of themselves."""

FOLDER = "reports"
"""Below OUT_DIR."""

_DIGEST = re.compile(r'<meta name="cerebatch-inputs" content="([0-9a-f]+)">')


@dataclass(frozen=True)
class Order:
    """One page to write.

    Attributes
    ----------
    name : str
        Of a finished case.
    case_folder : Path
        That holds its ``anat/``.
    out : Path
        Folder of the pages; exists.
    person : Person
    norms : Path or None
        Model of `cerebatch lifespan fit`.
    layout : {"tidy", "ceres"}
        Of the CSV.
    pdf : bool
    """

    name: str
    case_folder: Path
    out: Path
    person: Person
    norms: Path | None = None
    layout: Layout = "tidy"
    pdf: bool = True


@dataclass(frozen=True)
class Written:
    """What became of an order: `done` is written, unchanged or failed, `reason` says why it failed."""

    name: str
    done: str
    reason: str = ""


def write_pages(
    orders: Sequence[Order], processes: int, tell: Callable[[str], None] = lambda words: None
) -> Iterator[Written]:
    """Write pages, in parallel processes if there are several.

    Parameters
    ----------
    orders : sequence of Order
    processes : int
    tell : callable
        Gets a sentence if PDFs cannot be written; once.

    Yields
    ------
    written : Written
        One an order, in order; one that fails stops no other.
    """
    if any(order.pdf for order in orders) and not can_write_pdf():
        from cerebatch.report.pdf import HOW_TO_GET_THEM

        tell(HOW_TO_GET_THEM)
        orders = [Order(**{**vars(order), "pdf": False}) for order in orders]
    if processes < 2 or len(orders) < 2:
        yield from map(write_page, orders)
        return
    # Spawned: the driver has had threads, which a fork would leave half alive.
    with ProcessPoolExecutor(min(processes, len(orders)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(write_page, orders, chunksize=max(1, min(16, len(orders) // (4 * processes))))


def write_page(order: Order) -> Written:
    """Write the page of one case, its TSV, CSV and PDF, unless they are there already and nothing changed.

    Parameters
    ----------
    order : Order
    """
    from cerebatch.report.case_page import CasePage, case_html
    from cerebatch.report.norms import places, read_norms

    try:
        digest = _digest(order)
        paths = [order.out / f"{order.name}{ending}" for ending in (".html", "_volumes.tsv", "_volumes.csv")]
        if order.pdf:
            paths.append(order.out / f"{order.name}.pdf")
        if all(path.exists() for path in paths) and _written_digest(paths[0]) == digest:
            return Written(order.name, "unchanged")
        result = read_result(order.name, order.case_folder)
        model = read_norms(order.norms) if order.norms is not None else None
        compared = model is not None and order.person.age is not None
        stood = places(model, result, order.person) if model is not None and compared else {}
        rows = case_rows(result, stood or None)
        write_rows(paths[1], rows)
        write_json(paths[1].with_suffix(".json"), data_dictionary(rows))
        write_text(csv_path(order.out, order.name), csv_text(order.layout, result, order.person, rows))
        html = case_html(CasePage(result, order.person, rows, model, stood, order.pdf, digest))
        if order.pdf:
            with written_whole(paths[3]) as unfinished:
                write_pdf(html, unfinished)
        write_text(paths[0], html)  # last: it tells that the others are of today
    except (CerebatchError, OSError) as error:
        return Written(order.name, "failed", str(error))
    return Written(order.name, "written")


def _digest(order: Order) -> str:
    """Of everything that a page is made from; images by size and time, small files and the model by their bytes."""
    said = {
        "version": [VERSION, version("cerebatch")],
        "person": asdict(order.person),
        "pdf": order.pdf,
        "csv": order.layout,
    }
    parts = [json.dumps(said, sort_keys=True), _templates()]
    for path in sorted((order.case_folder / "anat").glob(f"{order.name}_*")):
        if path.suffix in (".tsv", ".json"):
            parts.append(f"{path.name} {file_sha256(path)}")
        else:
            status = path.stat()
            parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    if order.norms is not None:
        model = order.norms / "model.json" if order.norms.is_dir() else order.norms
        parts.append(file_sha256(model))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _templates() -> str:
    """Digest of what gives the pages their looks."""
    from importlib import resources

    folder = resources.files("cerebatch.report") / "templates"
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in ("case.html", "style.css"))).hexdigest()


def _written_digest(page: Path) -> str:
    with page.open(encoding="utf-8") as stream:
        found = _DIGEST.search(stream.read(1000))
    return found[1] if found else ""
