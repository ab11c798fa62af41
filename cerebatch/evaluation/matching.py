"""Which predicted map belongs to which true one: by participant and session, or by the name of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cerebatch.errors import DatasetError
from cerebatch.io.labelmaps import map_name
from cerebatch.io.participants import natural
from cerebatch.io.scan import EXTENSIONS


@dataclass(frozen=True)
class Pair:
    """Two maps of one case.

    Attributes
    ----------
    case : str
        ``sub-X``, ``sub-X_ses-Y``, or the name of the true map.
    predicted, truth : Path
    """

    case: str
    predicted: Path
    truth: Path


@dataclass(frozen=True)
class LeftOut:
    """A case that is not scored.

    Attributes
    ----------
    case : str
    reason : str
        As sentences.
    """

    case: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """Which of several maps of a case is meant; None where nothing is asked for.

    Attributes
    ----------
    space, desc : str or None
        Values of the BIDS entities.
    other_tool : bool
        The true maps are another tool's, native, whatever their ``desc``; `space` and `desc` choose among ours.
    """

    space: str | None = None
    desc: str | None = None
    other_tool: bool = False


def match(predicted: Path, truth: Path, choice: Choice | None = None) -> tuple[list[Pair], list[LeftOut]]:
    """Pair predicted maps with true ones.

    Two files are a pair. In two folders all maps whose names end in ``dseg`` are looked at, and where there are names
    with ``sub-`` only those; a case's two maps have the same ``space`` and ``desc``. Of several such pairs the one
    without ``desc`` is taken, and of these the one without ``space``: the native maps.

    Parameters
    ----------
    predicted, truth : Path
        Two files or two folders.
    choice : Choice, optional

    Returns
    -------
    pairs : list of Pair
        In natural order.
    left_out : list of LeftOut
        Cases of one folder alone, and those whose maps cannot be told apart.

    Raises
    ------
    DatasetError
        A path is not there, one is a file and the other a folder, or a folder holds no label maps.
    """
    for path in (predicted, truth):
        if not path.exists():
            raise DatasetError(path, expected="a label map or a folder of them", found="nothing", do="Check the path.")
    if predicted.is_dir() != truth.is_dir():
        folder, file = (predicted, truth) if predicted.is_dir() else (truth, predicted)
        raise DatasetError(
            file, expected=f"a folder, as {folder} is one", found="a file", do="Give two files or two folders."
        )
    if not predicted.is_dir():
        return [Pair(_key(truth), predicted, truth)], []
    ours, theirs = _maps(predicted), _maps(truth)
    pairs, left_out = [], []
    for case in sorted(ours.keys() | theirs.keys(), key=natural):
        if case not in ours or case not in theirs:
            there, absent = (truth, predicted) if case not in ours else (predicted, truth)
            left_out.append(LeftOut(case, f"It has a map in {there} and none in {absent}."))
            continue
        found = _pair(case, ours[case], theirs[case], choice or Choice())
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            left_out.append(found)
    return pairs, left_out


def _pair(case: str, predicted: Sequence[Path], truth: Sequence[Path], choice: Choice) -> Pair | LeftOut:
    def kind(path: Path) -> tuple[str, str]:
        return _entity(path, "desc"), _entity(path, "space")

    if choice.other_tool:
        return _pair_with_other_tool(case, predicted, truth, choice)
    shared = sorted(
        {kind(path) for path in predicted} & {kind(path) for path in truth},
        key=lambda found: (found[0] != "", found[1] != "", found),
    )
    shared = [(desc, space) for desc, space in shared if choice.desc in (None, desc) and choice.space in (None, space)]
    if not shared:
        asked = "".join(f" {name}-{value}" for name, value in vars(choice).items() if value is not None)
        return LeftOut(
            case,
            f"Expected two maps of one space and desc{' with' + asked if asked else ''}, found {_names(predicted)} and "
            f"{_names(truth)}. Native maps are compared with native ones and MNI maps with MNI ones.",
        )
    ours, theirs = ([path for path in paths if kind(path) == shared[0]] for paths in (predicted, truth))
    if len(ours) > 1 or len(theirs) > 1:
        return LeftOut(
            case, f"Expected one map, found {_names(ours if len(ours) > 1 else theirs)}. Move all but one elsewhere."
        )
    return Pair(case, ours[0], theirs[0])


def _pair_with_other_tool(
    case: str, predicted: Sequence[Path], truth: Sequence[Path], choice: Choice
) -> Pair | LeftOut:
    """Our native map, or that of a ``desc`` that was asked for, and the one map that the other tool has of the case."""
    ours = [path for path in predicted if _entity(path, "space") == (choice.space or "")]
    ours = [path for path in ours if _entity(path, "desc") == (choice.desc or "")]
    if len(ours) != 1 or len(truth) != 1:
        return LeftOut(
            case, f"Expected one native map of ours and one of the other tool, found {_names(ours) or 'none'} and "
            f"{_names(truth)}. Move all but one elsewhere.",
        )  # fmt: skip
    return Pair(case, ours[0], truth[0])


def _entity(path: Path, name: str) -> str:
    """Value of a BIDS entity in a file's name; empty without it."""
    return dict(part.split("-", 1) for part in path.name.split("_") if "-" in part).get(name, "")


def _maps(folder: Path) -> dict[str, list[Path]]:
    """Label maps of a folder and all below it, by case."""
    paths = [path for path in sorted(folder.rglob("*")) if path.name.endswith(EXTENSIONS)]
    named = [path for path in paths if map_name(path) != path.name.split(".")[0]]
    chosen = [path for path in named if path.name.startswith("sub-")] or named or paths
    if not chosen:
        raise DatasetError(
            folder,
            expected="label maps (*_dseg.nii.gz) in it or below",
            found="none",
            do="Give the folder that holds them.",
        )
    found: dict[str, list[Path]] = {}
    for path in chosen:
        found.setdefault(_key(path), []).append(path)
    return found


def _key(path: Path) -> str:
    """``sub-X``, ``sub-X_ses-Y``, or the map's name."""
    bids = re.match(r"sub-[^_.]+(_ses-[^_.]+)?", path.name)
    return bids[0] if bids else map_name(path)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
