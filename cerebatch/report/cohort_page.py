"""The page of a cohort: one HTML file with its data inside that stays quick with thousands of cases."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from cerebatch.labels import LOBES, STRUCTURES
from cerebatch.measures.volumes import SIDES, WHOLE
from cerebatch.quality.rating import RATINGS
from cerebatch.report.case_page import environment, style
from cerebatch.report.cohort_tables import Table

if TYPE_CHECKING:
    from lifespan import LifespanModel

THUMBNAILS = 400
"""Flagged cases that get a picture, the gravest first."""

THUMBNAIL_BYTES = 4_000_000
"""What all pictures together may take, so that the page stays under 15 MB with 5,000 cases."""

_AGES = 2.0
"""Years between the points of a curve."""


def cohort_html(
    volumes: Table,
    flags: Table,
    failures: Table,
    *,
    pages: Mapping[str, str],
    thumbnails: Mapping[str, str],
    model: LifespanModel | None,
    about_model: str,
    version: str,
) -> str:
    """The page as text.

    Parameters
    ----------
    volumes, flags, failures : list of dict
        Rows of the tables that stand beside the page; its numbers are theirs.
    pages : mapping
        Case -> its page, relative to this one.
    thumbnails : mapping
        Case -> data URI.
    model : LifespanModel or None
        Whose curves are drawn.
    about_model : str
        Which they are, or why there are none.
    version : str
        Of cerebatch.
    """
    names = [case_name(row) for row in volumes]
    ratings = Counter(row["rating"] for row in volumes)
    content = {
        "names": names,
        "pages": [pages.get(name, "") for name in names],
        "thumbs": {str(k): thumbnails[name] for k, name in enumerate(names) if name in thumbnails},
        "text": {column: [row[column] for row in volumes] for column in ("rating", "sex", "site", "method")},
        "flags": _flags(names, flags),
        "numbers": {"age": _numbers(volumes, "age"), "icv_cm3": _numbers(volumes, "icv_cm3")},
        "volumes": {
            unit: {
                f"{side} {structure}": _numbers(volumes, f"{side}_{structure.replace(' ', '_')}_{unit}")
                for structure in (*STRUCTURES, *LOBES, WHOLE)
                for side in SIDES
            }
            for unit in ("cm3", "percent_icv")
        },
        "curves": _curves(model) if model is not None else {},
    }
    # "</script>" in a name would end the script; JSON can say "<" otherwise.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
    flagged = sum(1 for row in volumes if row["rating"] != "A")
    return (
        environment()
        .get_template("cohort.html")
        .render(
            style=style(),
            cohort_style=_text("cohort.css"),
            script=_text("cohort.js"),
            data=data,
            cases=len(names),
            ratings=[(letter, ratings[letter], words) for letter, words in RATINGS.items()],
            flagged=flagged,
            pictured=len(thumbnails),
            most_pictured=THUMBNAILS,
            structures=[*STRUCTURES, *LOBES, WHOLE],
            failures=[(case_name(row), row["stage"], row["reason"]) for row in failures],
            kinds=Counter(row["flag"] for row in flags if row["severity"] != "note").most_common(),
            about_model=about_model,
            trial=any(row["resolution_mm"] == "4" for row in volumes),
            version=version,
        )
    )


def case_name(row: Mapping[str, str]) -> str:
    """``sub-X`` or ``sub-X_ses-Y`` of a row."""
    return row["participant_id"] if row["session_id"] == "n/a" else f"{row['participant_id']}_{row['session_id']}"


def _flags(names: Sequence[str], flags: Table) -> list[list[str]]:
    """Words of the flags of each case that are warnings or problems."""
    words: dict[str, list[str]] = {}
    for row in flags:
        if row["severity"] != "note":
            words.setdefault(case_name(row), []).append(f"{row['flag']}: {row['message']}")
    return [words.get(name, []) for name in names]


def _numbers(rows: Table, column: str) -> list[float | None]:
    return [None if row[column] == "n/a" else float(row[column]) for row in rows]


def _curves(model: LifespanModel) -> dict[str, dict[str, list[list[float]]]]:
    """Structure -> group -> [age, mean, lower, upper], volumes in cm3."""
    table = model.curve_table(_AGES)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for row in table[table["measure"] == "absolute"].to_dict("records"):
        points = found.setdefault(str(row["structure"]), {}).setdefault(str(row["group"]), [])
        points.append([float(f"{float(row[key]):.5g}") for key in ("age", "mean", "lower", "upper")])
    return found


def _text(name: str) -> str:
    return (resources.files("cerebatch.report") / "templates" / name).read_text(encoding="utf-8")
