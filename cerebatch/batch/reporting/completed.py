"""Which cases of a folder are whole: while others still arrive, a reader must not take half of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cerebatch.batch.job import STAGES
from cerebatch.batch.ledger.records import Failure, read_model, read_record


@dataclass(frozen=True)
class Finished:
    """The cases of a folder.

    Attributes
    ----------
    folders : dict
        Name of each finished case -> folder that holds its ``anat/``.
    unfinished : dict
        Name of each other case -> what is not there yet, in words.
    failures : list of Failure
        Of the unfinished ones.
    """

    folders: dict[str, Path]
    unfinished: dict[str, str]
    failures: list[Failure]


def finished_cases(out_dir: Path) -> Finished:
    """Sort the cases that have records; one is finished if all outputs of its last stage are as they were written.

    Parameters
    ----------
    out_dir : Path
        Folder that `cerebatch run` wrote into.
    """
    records = out_dir / "records" / "cases"
    found = Finished({}, {}, [])
    for folder in sorted(path for path in records.glob("*") if path.is_dir()) if records.is_dir() else []:
        name, record = folder.name, read_record(folder / f"{STAGES[-1]}.json")
        failure = read_model(folder / "failure.json", Failure)
        if record is not None and record.is_done(record.key, out_dir / record.folder):
            found.folders[name] = out_dir / record.folder
        elif failure is not None:
            found.failures.append(failure)
            found.unfinished[name] = f"failed in {failure.stage or 'the run'}: {failure.message}"
        elif record is not None:
            found.unfinished[name] = "its outputs are not all there as they were written; the next run makes them anew"
        else:
            found.unfinished[name] = "not finished yet"
    return found
