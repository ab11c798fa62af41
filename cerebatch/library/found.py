"""Where a library is found that nobody gave the path of, and what a run says of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cerebatch.errors import LibraryError
from cerebatch.library.store import Library, open_library

VARIABLE = "CEREBATCH_LIBRARY"
"""Environment variable: a library, or a folder that `cerebatch library fetch` filled."""

WORTH = (
    "An atlas of each scan takes two minutes more; on real scans it made the labels better in one of three, so look at "
    "both before you choose."
)
"""What a library is worth to the networks, for those who run them."""

_OFF = "or go without one: --no-library"


@dataclass(frozen=True)
class Found:
    """A library and how it came to be used.

    Attributes
    ----------
    path : Path
        Absolute.
    digest : str
    how : str
        As words that follow its name.
    """

    path: Path
    digest: str
    how: str

    def __str__(self) -> str:
        return f"library: {self.path} (digest {self.digest[:12]}), {self.how}. {WORTH}"


def user_folder() -> Path:
    """The user's folder for libraries and what they are made from; it need not exist."""
    import platformdirs

    return platformdirs.user_data_path("cerebatch", appauthor=False)


def library_in(folder: Path, resolution: float) -> Path:
    """Where the library of a resolution lies in a folder of `cerebatch library fetch`.

    Examples
    --------
    >>> library_in(Path("data"), 0.5).as_posix()
    'data/library-0.5mm.zarr'
    """
    return folder / f"library-{resolution:g}mm.zarr"


def find_library(resolution: float) -> Found | None:
    """The library of a resolution that a run uses when it is given none.

    Parameters
    ----------
    resolution : float
        Edge of the MNI grid in millimetres.

    Returns
    -------
    found : Found or None
        That of the environment variable, else that of the user's folder; None where there is neither. A library
        in the user's folder that is not finished is none.

    Raises
    ------
    LibraryError
        The variable names none that could be used.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        path = library_in(path, resolution) if library_in(path, resolution).exists() else path
        try:
            library = open_library(path)
        except LibraryError as error:
            raise _of_variable(error) from error
        require_resolution(library, resolution, f"Set {VARIABLE} to another")
        return Found(path, library.digest, f"found by {VARIABLE}")
    path = library_in(user_folder(), resolution)
    if not path.exists():
        return None
    try:
        library = open_library(path)
        require_resolution(library, resolution, "Build it anew")
    except LibraryError:
        if (path / "building").exists():
            return None  # it is being built, or its build was stopped
        raise
    return Found(path, library.digest, "found in your data folder")


def given_library(path: Path) -> Found:
    """A library that a user gave by its path.

    Raises
    ------
    LibraryError
        It cannot be used.
    """
    return Found(path.absolute(), open_library(path).digest, "as you gave it")


def require_resolution(library: Library, resolution: float, do: str) -> None:
    """Refuse a library of another grid.

    Raises
    ------
    LibraryError
        With `do` as the way out, to which leaving it out is added.
    """
    if library.resolution != resolution:
        raise LibraryError(
            library.path, expected=f"a library of {resolution} mm", found=f"one of {library.resolution} mm",
            do=f"{do}, {_OFF}.",
        )  # fmt: skip


def _of_variable(error: LibraryError) -> LibraryError:
    return LibraryError(
        error.path,
        expected=f"{error.expected}, for {VARIABLE} names it",
        found=error.found,
        do=f"{error.do} O{_OFF[1:]}.",
    )
