"""Finding scans in a BIDS dataset, and naming what is written.

Only the folders of the people asked for are opened, never the whole tree: a cohort may hold millions of files.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cerebatch.errors import DatasetError, SettingsError
from cerebatch.io.files import require_absolute
from cerebatch.io.participants import natural, parse_age, parse_sex, read_participants, read_session
from cerebatch.io.scan import EXTENSIONS

ENTITIES = (
    *("sub", "ses", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec", "dir", "run"),
    *("mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "split", "recording", "chunk"),
    *("from", "to", "mode"),
    *("seg", "res", "den", "label", "desc"),
)
"""Entities in the order of file names: BIDS schema 1.10.0, ``rules/entities.yaml``. ``from``, ``to`` and ``mode`` are
those of the proposal for transforms (BEP 014), which places them before ``desc``."""

INDICES = ("run", "echo", "flip", "inv", "split")
"""Entities whose values are numbers, so that 2 and 02 are the same."""

NOT_MAGNITUDE = ("phase", "real", "imag")
"""Values of ``part`` that are never taken."""


@dataclass(frozen=True)
class Case:
    """One participant at one session.

    Attributes
    ----------
    participant, session : str
        Labels without ``sub-`` and ``ses-``; session is None in a dataset without sessions.
    t1w, t2w : Path
        Images, absolute; t2w is None where there is none.
    age : float or None
        Years at this session.
    sex : {"F", "M"} or None
    warnings : tuple of str
        What was ambiguous, in plain sentences.
    in_dataset : bool
        Whether the images lie in a BIDS dataset, so that outputs can name them by it.

    Raises
    ------
    InputError
        A path is relative.
    """

    participant: str
    session: str | None
    t1w: Path
    t2w: Path | None = None
    age: float | None = None
    sex: str | None = None
    warnings: tuple[str, ...] = ()
    in_dataset: bool = True

    def __post_init__(self) -> None:
        require_absolute(self.t1w, self.t2w)

    @property
    def name(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return _case_name(self.participant, self.session)

    @property
    def sources(self) -> list[str]:
        """Its images as a sidecar names them: BIDS URIs, or the names of files that lie in no dataset."""
        paths = [path for path in (self.t1w, self.t2w) if path is not None]
        if not self.in_dataset:
            return [path.name for path in paths]
        return [f"bids:raw:{(self.folder / path.name).as_posix()}" for path in paths]

    @property
    def folder(self) -> Path:
        """Folder of the case inside a dataset, ``sub-X/anat`` or ``sub-X/ses-Y/anat``."""
        participant = Path(f"sub-{self.participant}")
        return participant / "anat" if self.session is None else participant / f"ses-{self.session}" / "anat"


@dataclass(frozen=True)
class Problem:
    """A participant or session that cannot be processed.

    Attributes
    ----------
    participant, session : str
        Labels without prefix; session is None where the whole participant is meant or there are no sessions.
    path : Path
        Where the scan was looked for.
    reason : str
        What is missing and what to do, as sentences.
    """

    participant: str
    session: str | None
    path: Path
    reason: str

    @property
    def name(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return _case_name(self.participant, self.session)


@dataclass(frozen=True)
class Cohort:
    """What was found in a dataset.

    Attributes
    ----------
    cases : tuple of Case
        In natural order: sub-2 before sub-10.
    problems : tuple of Problem
        Participants and sessions left out, in the same order.
    warnings : tuple of str
        About the dataset as a whole.
    """

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def find_cases(
    bids_dir: Path | str,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    filters: Mapping[str, str] = MappingProxyType({}),
) -> Cohort:
    """Find the T1w (and T2w) image of every participant and session.

    Of several T1w images the first in natural order is taken, with a warning. A session without a usable
    T1w, and a participant asked for that does not exist, becomes a `Problem` and stops nobody else.

    Parameters
    ----------
    bids_dir : Path or str
        Root of the dataset; a relative one is one of the current folder.
    participants, sessions : sequence of str
        Labels to restrict to, with or without ``sub-`` and ``ses-``; empty for all.
    filters : mapping
        Entity -> value, from `parse_filters`. A T1w must have every one. A T2w must not contradict them
        with an entity that it has, save for ``acq``: that names a sequence, so that ``acq=mprage`` only
        prefers a T2w of the same label and excludes none.

    Raises
    ------
    DatasetError
        No such folder, no ``sub-`` folder in it, or a participants.tsv that cannot be read.
    """
    root = Path(bids_dir).absolute()
    labels, problems = _participants(root, [label.removeprefix("sub-") for label in participants])
    wanted = [label.removeprefix("ses-") for label in sessions]
    warnings = []
    if not (root / "dataset_description.json").is_file():
        warnings.append(f"{root} has no dataset_description.json, which BIDS requires.")
    table, table_warnings = read_participants(root)
    cases: list[Case] = []
    for participant in labels:
        folder = root / f"sub-{participant}"
        for session in _sessions(folder, wanted):
            try:
                cases.append(_case(folder, participant, session, filters, table.get(participant, {})))
            except (DatasetError, OSError) as error:
                where = error.path if isinstance(error, DatasetError) else folder
                problems.append(Problem(participant, session, where, _reason(error)))
    problems.sort(key=lambda problem: natural(problem.name))
    return Cohort(tuple(cases), tuple(problems), (*warnings, *table_warnings))


def parse_filters(texts: Iterable[str]) -> dict[str, str]:
    """Turn ``["acq=mprage", "run=2"]`` into ``{"acq": "mprage", "run": "2"}``.

    Raises
    ------
    SettingsError
        Not ``entity=value``, no entity of BIDS, given twice, or ``sub`` and ``ses``, which have their own options.
    """
    filters: dict[str, str] = {}
    for text in texts:
        entity, equals, value = (part.strip() for part in text.partition("="))
        value = value.removeprefix(f"{entity}-")
        if not equals or not re.fullmatch(r"[a-zA-Z0-9+]+", value):
            raise SettingsError(f"filter {text!r}: expected entity=value with letters and digits, such as acq=mprage.")
        if entity in ("sub", "ses"):
            raise SettingsError(f"filter {text!r}: choose participants and sessions by their own options.")
        if entity not in ENTITIES:
            raise SettingsError(f"filter {text!r}: {entity!r} is no BIDS entity. Known are {', '.join(ENTITIES[2:])}.")
        if entity in filters:
            raise SettingsError(f"filter {text!r}: {entity} was already set to {filters[entity]!r}. Give it once.")
        filters[entity] = value
    return filters


def output_name(case: Case, suffix: str, extension: str, **entities: str) -> str:
    """File name of a derivative, entities in the order of BIDS whatever the order they are given in.

    Parameters
    ----------
    case : Case
        Gives ``sub`` and ``ses``.
    suffix, extension : str
        Such as "dseg" and ".nii.gz".
    **entities : str
        Such as ``space="MNI152NLin2009aSym"``; an underscore after a Python keyword is dropped (``from_``).

    Raises
    ------
    ValueError
        An entity that BIDS does not have, or a value with anything but letters, digits and ``+``.
    """
    values = {entity.removesuffix("_"): value for entity, value in entities.items()}
    for entity, value in values.items():
        if entity not in ENTITIES[2:]:
            raise ValueError(f"{entity!r} is none of the BIDS entities {', '.join(ENTITIES[2:])}")
        if not re.fullmatch(r"[a-zA-Z0-9+]+", value):
            raise ValueError(f"{entity}-{value}: expected letters, digits and + alone")
    parts = [f"{entity}-{values[entity]}" for entity in ENTITIES if entity in values]
    return "_".join([case.name, *parts, suffix]) + extension


@dataclass(frozen=True)
class _Image:
    path: Path
    entities: dict[str, str]

    def __str__(self) -> str:
        return self.path.name

    def has(self, filters: Mapping[str, str]) -> bool:
        return all(entity in self.entities for entity in filters) and not self.contradicts(filters)

    def contradicts(self, filters: Mapping[str, str]) -> bool:
        shared = filters.keys() & self.entities.keys()
        return any(_value(entity, filters[entity]) != _value(entity, self.entities[entity]) for entity in shared)


def _participants(root: Path, asked: Sequence[str]) -> tuple[list[str], list[Problem]]:
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing there"
        raise DatasetError(root, expected="the folder of a BIDS dataset", found=found, do="Check the path.")
    absent = [label for label in dict.fromkeys(asked) if "/" in label or not (root / f"sub-{label}").is_dir()]
    if asked and not absent:
        return sorted(set(asked), key=natural), []
    existing = _labels_in(root, "sub")
    if not existing:
        raise DatasetError(
            root,
            expected="a BIDS dataset with folders named sub-*",
            found="none",
            do="Give the folder that holds the sub-* folders; images must be sorted into BIDS first.",
        )
    problems = [Problem(label, None, root / f"sub-{label}", _no_such(label, existing)) for label in absent]
    return (sorted(set(asked) - set(absent), key=natural) if asked else existing), problems


def _no_such(label: str, existing: Sequence[str]) -> str:
    near = difflib.get_close_matches(label, existing, n=3, cutoff=0.5) or existing[:3]
    return f"There is no sub-{label} in the dataset. The nearest are {', '.join(f'sub-{name}' for name in near)}."


def _sessions(folder: Path, wanted: Sequence[str]) -> list[str | None]:
    """Sessions of a participant to look into; None stands for images outside any session."""
    if wanted:
        return [*sorted(set(wanted), key=natural)]
    try:
        sessions = _labels_in(folder, "ses")
    except OSError:
        return [None]
    return [*([None] if not sessions or (folder / "anat").is_dir() else []), *sessions]


def _case(
    folder: Path, participant: str, session: str | None, filters: Mapping[str, str], row: Mapping[str, str]
) -> Case:
    if session is not None and not (folder / f"ses-{session}").is_dir():
        there = ", ".join(f"ses-{label}" for label in _labels_in(folder, "ses")) or "no sessions"
        raise DatasetError(folder, expected=f"a folder ses-{session}", found=there, do="Check the session's label.")
    anat = folder / "anat" if session is None else folder / f"ses-{session}" / "anat"
    name = _case_name(participant, session)
    t1w, t1w_warnings = _t1w(anat, name, filters)
    t2w, t2w_warnings = _t2w(anat, name, filters)
    session_row, table_warnings = ({}, []) if session is None else read_session(folder, session)
    age, age_warnings = parse_age(session_row.get("age", ""), row.get("age", ""))
    sex, sex_warnings = parse_sex(row.get("sex", ""))
    warnings = (*t1w_warnings, *t2w_warnings, *table_warnings, *age_warnings, *sex_warnings)
    return Case(participant, session, t1w, t2w, age, sex, warnings)


def _reason(error: DatasetError | OSError) -> str:
    if isinstance(error, DatasetError):
        return error.reason
    return f"The folder cannot be read ({error.strerror}). Ask its owner for read permission."


def _t1w(anat: Path, name: str, filters: Mapping[str, str]) -> tuple[Path, list[str]]:
    images = _images(anat, name, "T1w")
    chosen = [image for image in images if image.has(filters)]
    if not chosen:
        asked = "".join(f", {entity}={value}" for entity, value in filters.items()) if images else ""
        there = images or _others(anat)
        raise DatasetError(
            anat,
            expected=f"an image {name}_*T1w (.nii, .nii.gz, .mgz, .mgh){asked}",
            found=", ".join(str(each) for each in there) or "none",
            do="Choose another filter." if images else "Add the image, or leave this session out.",
        )
    if not chosen[0].path.exists():
        raise DatasetError(
            anat,
            expected=f"the content of {chosen[0]}",
            found="a link that leads nowhere",
            do="Fetch the file (for DataLad, `datalad get` it).",
        )
    return chosen[0].path, _left_out(chosen)


def _t2w(anat: Path, name: str, filters: Mapping[str, str]) -> tuple[Path | None, list[str]]:
    preferred = {entity: value for entity, value in filters.items() if entity == "acq"}
    required = {entity: value for entity, value in filters.items() if entity != "acq"}
    chosen = [image for image in _images(anat, name, "T2w") if not image.contradicts(required)]
    chosen.sort(key=lambda image: not image.has(preferred))
    if not chosen:
        return None, []
    if not chosen[0].path.exists():
        return None, [f"{chosen[0]} is a link that leads nowhere and is not used; fetch the file to use it."]
    return chosen[0].path, _left_out(chosen)


def _left_out(chosen: Sequence[_Image]) -> list[str]:
    if len(chosen) == 1:
        return []
    taken, *others = chosen
    differing = [(k, v) for other in others for k, v in other.entities.items() if taken.entities.get(k) != v]
    way = f"choose with a filter such as {differing[0][0]}={differing[0][1]}" if differing else "remove the others"
    return [f"{taken} was taken and {', '.join(str(other) for other in others)} left out; {way}."]


def _images(anat: Path, name: str, suffix: str) -> list[_Image]:
    pattern = re.compile(rf"{re.escape(name)}((?:_[a-z]+-[^_]+)*)_{suffix}({'|'.join(map(re.escape, EXTENSIONS))})")
    images = []
    for path in _listing(anat):
        match = pattern.fullmatch(path.name)
        if match and "_ses-" not in match[1]:
            entities = dict(part.split("-", 1) for part in match[1].split("_")[1:])
            if entities.get("part") not in NOT_MAGNITUDE:
                images.append(_Image(path, entities))
    return images


def _others(anat: Path) -> list[str]:
    """Images of the folder, for an error that found none of the right name."""
    return [path.name for path in _listing(anat) if path.name.endswith(EXTENSIONS)][:5]


def _listing(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(paths, key=lambda path: natural(path.name))


def _labels_in(folder: Path, prefix: str) -> list[str]:
    with os.scandir(folder) as entries:
        labels = [e.name.removeprefix(f"{prefix}-") for e in entries if e.name.startswith(f"{prefix}-") and e.is_dir()]
    return sorted(labels, key=natural)


def _value(entity: str, value: str) -> str | int:
    return int(value) if entity in INDICES and value.isdigit() else value


def _case_name(participant: str, session: str | None) -> str:
    return f"sub-{participant}" if session is None else f"sub-{participant}_ses-{session}"
