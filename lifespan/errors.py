"""The exceptions of lifespan.

LifespanError
├── TableError          a table cannot be used; names the file, the rows and the way out
│   └── MismatchError   a table is sound, but the model was not fitted for it
├── ModelFileError      a file holds no model that this version can read
└── FitError            a model cannot be fitted to these people
"""

from __future__ import annotations

from functools import partial
from pathlib import Path


class LifespanError(Exception):
    """Root of everything that lifespan raises on purpose."""


class _SourceError(LifespanError):
    """What was expected of a source, what was found, and what to do about it.

    Parameters
    ----------
    source : Path or str
        The file, or words for a table in memory.
    expected : str
        What would have been accepted.
    found : str
        What is there instead.
    do : str
        What the user can do about it, as a sentence.
    """

    def __init__(self, source: Path | str, *, expected: str, found: str, do: str) -> None:
        self.source = str(source)
        self.expected = expected
        self.found = found
        self.do = do
        super().__init__(f"{source}: expected {expected}, found {found}. {do}")

    def __reduce__(self) -> tuple[partial[_SourceError], tuple[()]]:
        # An exception is built anew from its message alone; a process pool could not hand this one back.
        fields = {"expected": self.expected, "found": self.found, "do": self.do}
        return partial(type(self), self.source, **fields), ()


class TableError(_SourceError):
    """A table cannot be used."""


class MismatchError(TableError):
    """A model refuses a table that it was not fitted for."""


class ModelFileError(_SourceError):
    """A file holds no model that this version can read."""


class FitError(_SourceError):
    """A model cannot be fitted to these people."""
