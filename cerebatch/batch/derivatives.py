"""What a folder of results says of itself."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from cerebatch.errors import InputError
from cerebatch.io.atomic import write_text
from cerebatch.io.description import dataset_description
from cerebatch.io.files import write_json
from lifespan.simulated import is_simulated

_NOT_BIDS = (
    "/records\n/logs\n/work\n/reports\n/lifespan\n/converted\nfigures\n*_xfm.txt\n*_volumes.*\n*_quality.*\n"
    "*_confidence.*\n/cohort.html\n/volumes.*\n/quality.*\n/flags.*\n/failures.*\n/cerebatch_*\n"
)
"""What the standard has no place for, as .bidsignore."""


def write_description(out: Path, source: Path) -> None:
    """Make a folder of results, with its dataset_description.json and .bidsignore.

    Parameters
    ----------
    out : Path
    source : Path
        The dataset or scan that the results are of; where its people are simulated, the results say so.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        simulated = is_simulated(source) or is_simulated(out)
        write_json(out / "dataset_description.json", dataset_description(version("cerebatch"), simulated=simulated))
        write_text(out / ".bidsignore", _NOT_BIDS)
    except OSError as error:
        raise InputError(
            out, expected="a folder that can be written", found=str(error.strerror), do="Give another folder."
        ) from error
