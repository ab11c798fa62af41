"""Labels corrected by intensity: fluid out, white matter in, peduncles off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cerebatch.labelling.correct import corrected, tissue_of
from cerebatch.labels import LABELS
from cerebatch.spatial.space import Grid

CODE = {label.name: label.index for label in LABELS}
LOBULE, OTHER, CORE = CODE["Left Crus I"], CODE["Left Crus II"], CODE["Left white matter"]
GRID = Grid((40, 40, 40), np.eye(4))


def scene() -> tuple[Any, Any, Any]:
    """True labels, labels as a method at 1 mm might give them, and tissues (0 fluid, 1 grey, 2 white).

    Two lobules with a fissure between them, a core with a twig that runs through one, and a peduncle.
    """
    truth = np.zeros(GRID.shape, dtype=np.uint8)
    truth[6:34, 6:34, 6:19] = LOBULE
    truth[6:34, 6:34, 21:34] = OTHER
    truth[14:26, 14:26, 12:28] = CORE
    truth[26:31, 19:21, 12:14] = CORE
    tissue = np.where(truth == CORE, 2, (truth > 0).astype(int))
    tissue[17:23, 17:23, 34:40] = 2
    given = truth.copy()
    given[6:34, 6:34, 19:21] = np.where(truth[6:34, 6:34, 19:21] > 0, truth[6:34, 6:34, 19:21], LOBULE)
    given[26:31, 19:21, 12:14] = LOBULE
    given[17:23, 17:23, 28:40] = np.where(truth[17:23, 17:23, 28:40] == OTHER, OTHER, CORE)
    return truth, given, tissue


def images(tissue: Any, noise: float) -> dict[Any, Any]:
    generator = np.random.default_rng(1)
    return {
        contrast: (np.array(levels)[tissue] + generator.normal(0, noise, tissue.shape)).astype(np.float32)
        for contrast, levels in (("T1w", (50.0, 150.0, 250.0)), ("T2w", (250.0, 150.0, 100.0)))
    }


@pytest.mark.parametrize("noise", [0.0, 12.0])
def test_labels_become_the_truth(noise: float) -> None:
    truth, given, tissue = scene()
    found = corrected(given, given, images(tissue, noise), GRID)
    wrong_before, wrong = np.count_nonzero(given != truth), np.count_nonzero(found.dseg != truth)
    assert wrong <= (0 if noise == 0 else 0.06 * wrong_before)
    assert found.white == pytest.approx(5 * 2 * 2, abs=2)
    assert found.fluid == pytest.approx(np.count_nonzero((given == LOBULE) & (tissue == 0)), rel=0.02)
    assert found.peduncle > 0
    assert not found.dseg[17:23, 17:23, 36:].any()


def test_white_matter_that_was_taken_in_keeps_its_lobule_beside() -> None:
    truth, given, tissue = scene()
    found = corrected(given, given, images(tissue, 0.0), GRID)
    twig = found.dseg[26:31, 19:21, 12:14], found.lobules[26:31, 19:21, 12:14]
    assert (twig[0] == CORE).all()
    assert (twig[1] == LOBULE).all()
    assert ((found.lobules > 0) == (found.dseg > 0)).all()
    assert ((found.dseg > 0) == (truth > 0)).all()


def test_white_spots_that_no_way_leads_to_from_the_core_stay_grey() -> None:
    _, given, tissue = scene()
    tissue[8:10, 8:10, 8:10] = 2
    assert (corrected(given, given, images(tissue, 0.0), GRID).dseg[8:10, 8:10, 8:10] == LOBULE).all()


def test_both_contrasts_together_tell_more_than_the_t1w_alone() -> None:
    truth, given, tissue = scene()
    both = images(tissue, 30.0)
    wrong = [
        np.count_nonzero(corrected(given, given, some, GRID).dseg != truth) for some in (both, {"T1w": both["T1w"]})
    ]
    assert wrong[0] < 0.7 * wrong[1]


def test_tissues_follow_the_labels_where_the_normalisation_is_off() -> None:
    truth, _, tissue = scene()
    seen = {"T1w": images(tissue, 5.0)["T1w"] * np.float32(0.8) + np.float32(20)}
    found = tissue_of(seen, tissue == 1, tissue == 2)
    inside = truth > 0
    assert np.mean(found[inside] == tissue[inside]) > 0.99
