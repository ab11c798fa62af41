"""Lessons of the cascade: what a network is shown and what its answer costs, with an answer that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fine_heads import BOX, library_of
from torch import Tensor

from cerebatch.labels import STRUCTURES
from cerebatch.networks.card import Task
from cerebatch.training.geometry import Geometries
from cerebatch.training.outlined import LEFT_CORTEX, LEFT_WHITE, RIGHT_CORTEX, RIGHT_WHITE, VERMIS, OutlinedScan
from cerebatch.training.tasks.cascade import CascadeLesson, imperfect

CLASSES: dict[Task, int] = {"sides": 3, "lobules": 14}


class Answers:
    """A network that says the same of every voxel, and remembers what it was shown."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.seen: list[Tensor] = []

    def __call__(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        return torch.zeros(1, self.classes, *image.shape[2:], requires_grad=True)


@pytest.fixture(scope="module")
def outlined() -> OutlinedScan:
    """Cortex of both sides, white matter in it, the vermis between."""
    manual = np.zeros(BOX.shape, dtype=np.uint8)
    manual[40:66, 30:60, 30:60], manual[78:104, 30:60, 30:60] = LEFT_CORTEX, RIGHT_CORTEX
    manual[50:60, 40:50, 40:50], manual[84:94, 40:50, 40:50] = LEFT_WHITE, RIGHT_WHITE
    for place, group in enumerate(VERMIS):
        manual[66:78, 30:60, 30 + 10 * place : 40 + 10 * place] = group
    t1w = np.where(np.isin(manual, (LEFT_WHITE, RIGHT_WHITE)), 250, np.where(manual > 0, 150, 0)).astype(np.float32)
    return OutlinedScan(t1w, manual, np.indices(manual.shape)[0] < 72)


@pytest.fixture(scope="module")
def geometries(tmp_path_factory: pytest.TempPathFactory) -> Geometries:
    """One to learn from."""
    return Geometries(library_of(), tmp_path_factory.mktemp("bank"), 1)


def lesson(geometries: Geometries, outlined: list[OutlinedScan], task: Task) -> CascadeLesson:
    return CascadeLesson(geometries, outlined, outlined, "unet-s2d", task)


def test_a_real_and_a_simulated_scan_by_turns_for_the_first_network(
    geometries: Geometries, outlined: OutlinedScan
) -> None:
    first = lesson(geometries, [outlined], "sides")
    answers = Answers(3)
    real = first.loss(answers, 1)
    # One class of three in all the box is log 3 a voxel, two in the vermis log 1.5: weighed by the outline's voxels.
    assert float(real) > np.log(3)
    simulated = first.loss(answers, 0)
    assert float(simulated) > np.log(3)
    for image in answers.seen:
        assert image.shape == (1, 5, *BOX.shape)
    # A real scan comes without an atlas.
    assert not answers.seen[0][0, 2:].any()
    again = Answers(3)
    assert float(first.loss(again, 1)) == float(real)
    assert torch.equal(again.seen[0], answers.seen[0])


@pytest.mark.parametrize("drawn", [0, 1])
def test_the_second_network_sees_both_sides_of_a_scan_one_after_the_other(
    geometries: Geometries, outlined: OutlinedScan, drawn: int
) -> None:
    second = lesson(geometries, [outlined], "lobules")
    answers = Answers(14)
    left, right = (float(second.loss(answers, 2 * drawn + turn)) for turn in (0, 1))
    assert left > 0
    assert right > 0
    one, other = answers.seen
    assert one.shape[1] == other.shape[1] == 16
    # Blocks of multiples of 8, much smaller than the box.
    for image in answers.seen:
        assert all(size % 8 == 0 for size in image.shape[2:])
        assert image[0, 0].numel() < 0.6 * np.prod(BOX.shape)
        # Outside the mask an image is as dark as it gets: more voxels than any tissue has.
        assert (image[0, 0] == image[0, 0].min()).float().mean() > 0.02
    again = Answers(14)
    assert float(lesson(geometries, [outlined], "lobules").loss(again, 2 * drawn + 1)) == right
    assert torch.equal(again.seen[0], other)


def test_without_real_scans_all_are_simulated(geometries: Geometries) -> None:
    alone = lesson(geometries, [], "sides")
    answers = Answers(3)
    for seed in (0, 1):
        assert float(alone.loss(answers, seed)) > np.log(3)
    # A soft loss holds Dice, which is near one for an answer that knows nothing.
    assert np.isnan(alone.check(Answers(3))[:4]).all()


def test_figures_of_a_network_that_answers_right(geometries: Geometries, outlined: OutlinedScan) -> None:
    first = lesson(geometries, [outlined], "sides")
    inside = torch.from_numpy(outlined.manual > 0).float()

    def knows(image: Tensor) -> Tensor:
        return torch.stack([1 - inside, inside, torch.zeros_like(inside)])[None] * 10

    found = dict(zip(first.figures, first.check(knows), strict=True))
    for name in ("dice", "volume", "dice open", "volume open"):
        assert found[name] == pytest.approx(1)
    assert found["dice simulated"] < 0.9


def test_a_lobule_that_the_outline_allows_is_right_and_white_matter_in_cortex_is_not(
    geometries: Geometries, outlined: OutlinedScan
) -> None:
    second = lesson(geometries, [outlined], "lobules")

    def always(structure: str) -> float:
        def says(image: Tensor) -> Tensor:
            answer = torch.zeros(1, 14, *image.shape[2:])
            answer[:, STRUCTURES.index(structure) + 1] = 10
            return answer

        return dict(zip(second.figures, second.check(says), strict=True))["allowed"]

    cortex = float(np.isin(outlined.manual, (LEFT_CORTEX, RIGHT_CORTEX)).sum())
    white = float(np.isin(outlined.manual, (LEFT_WHITE, RIGHT_WHITE)).sum())
    group = float((outlined.manual == VERMIS[1]).sum())
    whole = float((outlined.manual > 0).sum())
    assert always("Crus I") == pytest.approx((cortex + group) / whole, abs=1e-6)
    assert always("White matter") == pytest.approx(white / whole, abs=1e-6)


def test_an_imperfect_mask_errs_at_its_surface_alone() -> None:
    share = np.zeros((40, 40, 40), dtype=np.float32)
    share[10:30, 10:30, 10:30] = 1
    torch.manual_seed(1)
    found = imperfect(share)
    assert found[12:28, 12:28, 12:28].all()
    outside = np.ones_like(found)
    outside[9:31, 9:31, 9:31] = False
    assert not found[outside].any()
    surface = found[9:11, 12:28, 12:28]
    assert 0 < surface.mean() < 1
