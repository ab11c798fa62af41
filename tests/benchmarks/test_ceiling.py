from __future__ import annotations

import numpy as np
import pytest

from benchmarks.common.ceiling import as_shown
from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.protocols import read_protocol
from cerebatch.labels import LABELS


def test_a_map_of_our_convention_that_errs_in_nothing_tells_the_ceiling() -> None:
    cerebnet = read_protocol("cerebnet")
    number = {region.name: region.number for region in cerebnet.regions}
    other = np.zeros((10, 1, 1), dtype=np.uint8)
    other[:8, 0, 0] = number["right Crus I"]
    t1w = np.full(other.shape, 150.0, dtype=np.float32)
    t1w[0], t1w[1], t1w[9] = 40.0, 240.0, 240.0
    shown = as_shown(other, t1w, cerebnet)
    names = {label.index: label.name for label in LABELS} | {0: "background"}
    assert [names[int(code)] for code in shown[:, 0, 0]] == [
        "background", "Right white matter", *["Right Crus I"] * 6, "background", "background"
    ]  # fmt: skip
    found = agreement(shown, other, cerebnet)
    assert found.names == 1
    assert found.region_dice == pytest.approx(2 * 6 / (6 + 8))
