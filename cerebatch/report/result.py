"""What the pages show of a case, as it stands in the files of the case."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebatch.errors import DatasetError
from cerebatch.io.files import read_rows
from cerebatch.quality.io import read_rating

Row = dict[str, str]


@dataclass(frozen=True)
class Person:
    """What is known of who was scanned.

    Attributes
    ----------
    age : float or None
        Years.
    sex : {"F", "M"} or None
    site : str
        Empty where not known.
    """

    age: float | None = None
    sex: str | None = None
    site: str = ""


@dataclass(frozen=True)
class Result:
    """The small files of a finished case.

    Attributes
    ----------
    name : str
        ``sub-X`` or ``sub-X_ses-Y``.
    anat : Path
    volumes : list of dict
        Rows of the table of volumes, text as written.
    quality : list of dict
        Rows of the table of metrics.
    confidence : list of dict
        Rows of the networks' table; empty without networks.
    sidecar : dict
        Of the label map.
    icv : dict
        Method and cm3 of the intracranial volume.
    rating : dict
        Rating, what it means, and flags.
    """

    name: str
    anat: Path
    volumes: list[Row]
    quality: list[Row]
    confidence: list[Row]
    sidecar: dict[str, Any]
    icv: dict[str, Any]
    rating: dict[str, Any]

    def volume(self, structure: str, side: str) -> Row:
        """The row of a structure and side."""
        return next(row for row in self.volumes if (row["structure"], row["side"]) == (structure, side))

    def metric(self, name: str, structure: str = "cerebellum", side: str = "both") -> str:
        """A metric as written; n/a where there is none."""
        wanted = (name, structure, side)
        found = (row["value"] for row in self.quality if (row["metric"], row["structure"], row["side"]) == wanted)
        return next(found, "n/a")

    @property
    def method(self) -> str:
        """Where the labels come from."""
        return str(self.sidecar["Method"])

    @property
    def resolution(self) -> float:
        """Edge of the MNI grid, millimetres."""
        return float(self.sidecar["ResolutionMM"])


def read_result(name: str, folder: Path) -> Result:
    """Read a finished case.

    Parameters
    ----------
    name : str
    folder : Path
        That holds ``anat/``.

    Raises
    ------
    DatasetError
        A file is missing or is not as `measure` writes it.
    """
    anat = folder / "anat"
    stem = anat / f"{name}_seg-lobules_"

    def at(ending: str) -> Path:
        return Path(f"{stem}{ending}")

    try:
        confidence = at("confidence.tsv")
        volumes_sidecar, rating = _json(at("volumes.json")), _json(at("quality.json"))
        return Result(
            name,
            anat,
            read_rows(at("volumes.tsv")),
            read_rows(at("quality.tsv")),
            read_rows(confidence) if confidence.exists() else [],
            _json(at("dseg.json")),
            volumes_sidecar["ICV"],
            read_rating(rating),
        )
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            folder,
            expected="the tables and sidecars of a finished case",
            found=f"{type(error).__name__}: {error}",
            do="Run the case again with this version of cerebatch.",
        ) from error


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
