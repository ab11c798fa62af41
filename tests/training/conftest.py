"""A library of three people of noise, mirrored, with atlases of noise beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import Library, open_library
from cerebatch.training.atlases import TrainingAtlases

PERSONS = ("person-1", "person-2", "person-3")


@pytest.fixture(scope="session")
def library(
    tmp_path_factory: pytest.TempPathFactory,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
) -> Library:
    """Each person in two heads."""
    cases: list[LabelledCase] = []
    for seed in (1, 2, 3):
        for head in ("h1", "h2"):
            case = replace(make_case(f"{seed}_{head}", seed), person=f"person-{seed}", head=head)
            cases += mirrored_pair(case)
    return open_library(write_library(tmp_path_factory.mktemp("training") / "LIB.zarr", cases))


@pytest.fixture(scope="session")
def atlases(library: Library, tmp_path_factory: pytest.TempPathFactory) -> TrainingAtlases:
    """In the atlas without person N each left structure has the code N."""
    folder = tmp_path_factory.mktemp("atlases")
    for index, name in enumerate(library.names):
        if not library.mirrored[index]:
            found = library.dseg(index) > 0
            without = {p: (found * (k + 1)).astype(np.uint8) for k, p in enumerate(PERSONS)}
            np.savez(folder / f"{name}.npz", all=(found * 9).astype(np.uint8), **without)  # type: ignore[arg-type]
    return TrainingAtlases(library, folder)
