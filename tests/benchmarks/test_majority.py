from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common.majority import majority
from cerebatch.atlas.similar import LeaveOut
from cerebatch.library.case import LabelledCase
from cerebatch.library.store import open_library


def test_the_most_frequent_label_of_the_allowed_wins(
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
    tmp_path: Path,
) -> None:
    cases = [make_case(name, seed) for seed, name in enumerate("abcd", start=1)]
    for case, codes in zip(cases, ((3, 7), (3, 5), (4, 5), (4, 5)), strict=True):
        case.dseg[20, 10, 10], case.dseg[21, 10, 10] = codes
    library = open_library(write_library(tmp_path / "LIB.zarr", [replace(case) for case in cases]))
    everybody = majority(library, LeaveOut())
    assert everybody[20:22, 10, 10].tolist() == [3, 5]
    without_b = majority(library, LeaveOut(persons=("person-2",)))
    assert without_b[20, 10, 10] == 4
    stacked = np.stack([case.dseg for case in cases])
    assert np.all(everybody[np.all(stacked == 0, axis=0)] == 0)
