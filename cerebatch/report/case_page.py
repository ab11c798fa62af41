"""The page of one case: everything in one HTML file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from cerebatch.figures.slices import Images, legend, mosaic, planes
from cerebatch.labels import LABELS, LOBES, STRUCTURES
from cerebatch.measures.volumes import SIDES, WHOLE
from cerebatch.quality.metric import DESCRIPTIONS
from cerebatch.report.curves import charts
from cerebatch.report.methods import methods_of
from cerebatch.report.norms import Place, describe, why_not
from cerebatch.report.result import Person, Result, Row
from cerebatch.spatial.space import TEMPLATE_SPACE

if TYPE_CHECKING:
    from jinja2 import Environment

    from lifespan import LifespanModel

NO_NORMS = (
    "No norms were given, so volumes stand without bounds for age and sex. None are shipped: fit a model to a cohort "
    "of your own with cerebatch lifespan fit, and give it with the option --norms."
)

_ASYMMETRY_AT_END = 40.0
"""Per cent of asymmetry at the end of a bar."""

_SEX = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class CasePage:
    """What a page is made from.

    Attributes
    ----------
    result : Result
    person : Person
    rows : sequence of dict
        From `case_table.case_rows`; every number of the tables is one of theirs.
    model : LifespanModel or None
    places : mapping
        From `norms.places`; empty without norms.
    pdf : bool
        Whether a PDF stands beside the page.
    digest : str
        Of the inputs, written into the page.
    """

    result: Result
    person: Person
    rows: Sequence[Row]
    model: LifespanModel | None
    places: dict[tuple[str, str], Place]
    pdf: bool
    digest: str


def case_html(page: CasePage) -> str:
    """The page as text.

    Parameters
    ----------
    page : CasePage
    """
    result, person = page.result, page.person
    images = Images.of(result.name, result.anat, result.resolution)
    norms = describe(page.model) if page.model is not None and page.places else None
    outside = [(row["side"], row["structure"]) for row in page.rows if row.get("volume_status") in ("below", "above")]
    of_parts = [f"{side} {structure}" for side, structure in outside if structure in STRUCTURES and side != "both"]
    sources = [str(source) for source in result.sidecar["Sources"]]
    volumes = {(row["structure"], row["side"]): float(row["volume_cm3"]) for row in page.rows}
    return (
        environment()
        .get_template("case.html")
        .render(
            result=result,
            digest=page.digest,
            style=style(),
            facts=_facts(
                result, person, next(row for row in page.rows if (row["structure"], row["side"]) == (WHOLE, "both"))
            ),
            rating=result.rating,
            warnings=result.sidecar["Warnings"],
            planes=planes(images),
            mosaic=mosaic(images),
            legend=legend(),
            space=TEMPLATE_SPACE,
            norms=norms,
            no_norms=NO_NORMS if page.model is None else why_not(person),
            outside=f": {', '.join(of_parts)}" if of_parts else "; here nothing does",
            n_parts=len(LABELS),
            icv_cm3=_icv(result),
            folia=any(row["with_folia_cm3"] != "n/a" for row in page.rows),
            table=_table(page.rows),
            pdf=page.pdf,
            charts=charts(page.model, page.places, volumes, person.age)
            if page.model is not None and page.places and person.age is not None
            else [],
            certainty=_certainty(result),
            metrics=[
                {"name": row["metric"] + ("" if row["side"] == "both" else f", {row['side']}"), "value": row["value"]}
                | {"words": "{}; {}".format(*DESCRIPTIONS[row["metric"]])}
                for row in result.quality
                if row["structure"] == WHOLE
            ],
            methods=methods_of(result.sidecar, t2w=any("T2w" in source for source in sources), norms=norms),
            provenance=json.dumps(
                {key: value for key, value in result.sidecar.items() if key != "Warnings"}, indent=1, ensure_ascii=False
            ),
        )
    )


@cache
def environment() -> Environment:
    """Jinja's environment of our templates; everything is escaped that is not marked."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("cerebatch.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@cache
def style() -> str:
    """The style sheet of all pages."""
    return (resources.files("cerebatch.report") / "templates" / "style.css").read_text(encoding="utf-8")


def _icv(result: Result) -> str:
    return f"{float(result.icv['VolumeCM3']):.1f}"


def _icv_by(result: Result) -> str:
    """Affine or network, and how far off it may be."""
    spread = result.icv["ErrorPercentSD"]
    error = "error not measured" if spread is None else f"SD of error {spread:g} %"
    return f"{str(result.icv['Method']).split()[0]}, {error}"


def _facts(result: Result, person: Person, whole: Row) -> list[tuple[str, str]]:
    facts = [
        ("Age", "not known" if person.age is None else f"{person.age:g} years"),
        ("Sex", _SEX.get(person.sex or "", "not known")),
        ("Site", person.site),
        ("Cerebellum", f"{whole['volume_cm3']} cm³"),
        ("of the intracranial volume", f"{whole['percent_icv']} %"),
        ("Intracranial volume", f"{_icv(result)} cm³ ({_icv_by(result)})"),
        ("Labels from", result.method),
        ("Grid", f"{result.resolution:g} mm"),
    ]
    return [fact for fact in facts if fact[1]]


def _table(rows: Sequence[Row]) -> list[list[dict[str, Any]]]:
    """Structures, lobes and the whole: a line each, left, right and both beside each other."""
    found = {(row["structure"], row["side"]): row for row in rows}
    colours = dict(legend())
    groups = []
    for names in (STRUCTURES, LOBES, (WHOLE,)):
        lines = []
        for name in names:
            sides = [found[name, side] for side in SIDES]
            asymmetry = sides[2]["asymmetry"]
            lines.append(
                {
                    "name": name if name in STRUCTURES else _spelled(name),
                    "colour": colours.get(name, ""),
                    "cells": [
                        *(_cell(row, "volume_cm3", "volume") for row in sides),
                        *(_cell(row, "percent_icv", "percent_icv") for row in sides),
                    ],
                    "folia": sides[2]["with_folia_cm3"],
                    "asymmetry": asymmetry,
                }
                | _bar(asymmetry)
            )
        groups.append(lines)
    return groups


def _cell(row: Row, column: str, start: str) -> dict[str, str]:
    status = row.get(f"{start}_status", "")
    scored = status not in ("", "not scored")
    return {
        "value": row[column],
        "status": status,
        "lower": row[f"{start}_lower"] if scored else "",
        "upper": row[f"{start}_upper"] if scored else "",
    }


def _bar(asymmetry: str) -> dict[str, Any]:
    value = 0.0 if asymmetry == "n/a" else float(asymmetry)
    length = min(abs(value) / _ASYMMETRY_AT_END, 1.0) * 48.0
    leaning = "neither side is larger" if value == 0 else f"the {'right' if value > 0 else 'left'} side is larger"
    return {"bar_from": f"{0.0 if value >= 0 else -length:.1f}", "bar_width": f"{length:.1f}", "leaning": leaning}


def _spelled(name: str) -> str:
    return {WHOLE: "Whole cerebellum"}.get(name, name.replace("_", "-").capitalize() + " lobe")


def _certainty(result: Result) -> dict[str, Any] | None:
    """The networks' confidence, or the share of the atlas' votes; None where neither is known."""
    if result.confidence:
        columns = [name for name in result.confidence[0] if name not in ("index", "name")]
        return {
            "caption": "Mean probability inside the structure, agreement of the architectures, Dice with the atlas.",
            "columns": [name.replace("_", " ") for name in columns],
            "rows": [(row["name"], [row[column] for column in columns]) for row in result.confidence],
        }
    rows = [(s, [result.metric("votes", s, "left"), result.metric("votes", s, "right")]) for s in STRUCTURES]
    if all(cells == ["n/a", "n/a"] for _, cells in rows):
        return None
    caption = "Mean share of the atlas' votes for the winning label inside each structure."
    return {"caption": caption, "columns": ["left", "right"], "rows": rows}
