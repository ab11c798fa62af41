"""Errors cross from one process to another."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from lifespan import FitError, LifespanError, MismatchError, ModelFileError, TableError


@pytest.mark.parametrize("kind", [FitError, MismatchError, ModelFileError, TableError])
def test_an_error_can_be_pickled_and_says_the_same(kind: type[TableError]) -> None:
    error = kind(Path("t.tsv"), expected="ages", found="none", do="Give ages.")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error) == "t.tsv: expected ages, found none. Give ages."
        assert vars(again) == vars(error)


def test_the_root_can_be_pickled_too() -> None:
    assert str(pickle.loads(pickle.dumps(LifespanError("words")))) == "words"
