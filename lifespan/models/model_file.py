"""Models as JSON: a format version, and nothing that cannot be read without this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifespan.errors import ModelFileError
from lifespan.models.choice import ModelChoice
from lifespan.models.counts import Counts
from lifespan.models.curve import Curve
from lifespan.models.model import LifespanModel

FORMAT = "lifespan model"
VERSION = 2
"""Raised when a reader of the version before could not understand a file. Version 1 is still read."""


def to_json(model: LifespanModel) -> dict[str, Any]:
    """A model as plain values."""
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "model": model.choice.to_json(),
        "tool": model.tool,
        "icv_method": model.icv_method,
        "source": Path(model.source).name,
        "structures": list(model.structures),
        "totals": sorted(model.totals),
        "reference_icv_cm3": model.reference_icv_cm3,
        "counts": model.counts.to_json(),
        "warnings": list(model.warnings),
        "people_digests": sorted(model.people_digests),
        "curves": [curve.to_json() for curve in model.curves.values()],
    }


def save(model: LifespanModel, path: Path | str) -> None:
    """Write a model."""
    Path(path).write_text(json.dumps(to_json(model), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_model(path: Path | str) -> LifespanModel:
    """Read a model.

    Raises
    ------
    ModelFileError
        No such file, no model, or one of a newer format.
    """
    do = "Give the model.json that `cerebatch lifespan fit` wrote."
    path = Path(path)
    try:
        content = json.loads((path / "model.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ModelFileError(path, expected="a model as JSON", found=f"none ({error})", do=do) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError(path, expected=f"JSON with format {FORMAT!r}", found="another one", do=do)
    version = content.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ModelFileError(
            path,
            expected=f"format version 1 to {VERSION}",
            found=f"version {version}",
            do="Use the cerebatch that wrote it, or fit the model again.",
        )
    try:
        curves = [Curve.from_json(curve, version) for curve in content["curves"]]
        return LifespanModel(
            {(curve.structure, curve.measure, curve.group): curve for curve in curves},
            ModelChoice(**content["model"]),
            str(content["tool"]),
            str(content["icv_method"]),
            str(content["source"]),
            Counts.from_json(content["counts"]),
            content["reference_icv_cm3"],
            frozenset(content["totals"]),
            tuple(content["warnings"]),
            frozenset(content.get("people_digests", ())),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        found = f"one in which something is missing or of another kind ({error!r})"
        raise ModelFileError(path, expected="a whole model", found=found, do="Fit it again.") from error
