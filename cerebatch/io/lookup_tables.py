"""Names and colours of the labels in the formats of FSLeyes and ITK-SNAP."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cerebatch.errors import InputError
from cerebatch.io.atomic import write_text
from cerebatch.labels import LABELS, Label

Program = Literal["fsleyes", "itksnap"]

NAMES: dict[Program, str] = {"fsleyes": "cerebatch_fsleyes.lut", "itksnap": "cerebatch_itksnap.txt"}


def write_lookup_tables(folder: Path) -> None:
    """Write the tables of all programs into a folder.

    Parameters
    ----------
    folder : Path
    """
    for program in NAMES:
        write_lookup_table(program, folder)


def write_lookup_table(program: Program, folder: Path) -> Path:
    """Write the table of one program.

    Parameters
    ----------
    program : {"fsleyes", "itksnap"}
    folder : Path
        Made where missing.

    Returns
    -------
    path : Path

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    path = folder / NAMES[program]
    text = fsleyes() if program == "fsleyes" else itksnap()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        do = "Give another folder."
        raise InputError(path, expected="a folder that can be written", found=str(error.strerror), do=do) from error
    return path


def fsleyes() -> str:
    """Code, red, green and blue from 0 to 1, name; no line for background."""
    lines = []
    for label in LABELS:
        red, green, blue = (f"{shade / 255:.5f}" for shade in _rgb(label))
        lines.append(f"{label.index} {red} {green} {blue} {label.name}")
    return "\n".join(lines) + "\n"


def itksnap() -> str:
    """A label description file: code, red, green, blue, opacity, seen in slices, seen in 3D, name."""
    lines = ["# Labels of cerebatch", '    0     0    0    0        0  0  0    "Clear Label"']
    for label in LABELS:
        red, green, blue = _rgb(label)
        lines.append(f'{label.index:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{label.name}"')
    return "\n".join(lines) + "\n"


def _rgb(label: Label) -> tuple[int, int, int]:
    red, green, blue = (int(label.color[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue
