"""The network that finds heads: its samples, its lesson, its command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional
from typer.testing import CliRunner

from cerebatch.cli.main import app
from cerebatch.networks.architectures.space_to_depth import to_depth
from cerebatch.networks.auxiliary.head import (
    PLACE_MM,
    SIDE,
    STRUCTURES,
    coarse_points,
    find_head,
    network,
    split,
)
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.networks.weights import with_weights
from cerebatch.spatial.space import inverse
from cerebatch.spatial.template import brain_mask, t1w
from cerebatch.spatial.whereabouts import fitted_affine
from cerebatch.training.tasks.head import HeadLesson, HeadMaps, affine_off_mm
from cerebatch.training.transforms.heads import CODES, STRUCTURE_OF_ID, HeadMap, HeadSample, draw_head

LEFT, RIGHT = STRUCTURES.index("left cortex"), STRUCTURES.index("right cortex")


@pytest.fixture(scope="module")
def two_sided() -> HeadMap:
    """The template's brain, left of x = 0 one code and right of it the other."""
    _, grid = t1w(2)
    x = grid.affine[0, 0] * np.arange(grid.shape[0]) + grid.affine[0, 3]
    sides = np.where(x < 0, CODES.index(3), CODES.index(42))[:, None, None]
    return HeadMap(np.where(brain_mask(2), sides, 0).astype(np.uint8), inverse(grid.affine))


def sample(head: HeadMap, seed: int) -> HeadSample:
    torch.manual_seed(seed)
    return draw_head(head)


def test_every_code_of_a_head_map_is_a_structure() -> None:
    assert len(STRUCTURE_OF_ID) == len(CODES)
    outside = [code for code, structure in zip(CODES, STRUCTURE_OF_ID, strict=True) if structure == 0]
    assert outside == [0]


@pytest.mark.parametrize("seed", range(6))
def test_left_lies_left_in_the_template_however_a_head_was_drawn(two_sided: HeadMap, seed: int) -> None:
    drawn = sample(two_sided, seed)
    x = functional.interpolate(drawn.places[None], scale_factor=2, mode="trilinear", align_corners=False)[0, 0]
    left, right = x[drawn.labels[0] == LEFT], x[drawn.labels[0] == RIGHT]
    assert len(left) + len(right) > 1000
    assert float((left < 0).float().sum() + (right > 0).float().sum()) / (len(left) + len(right)) > 0.95


@pytest.mark.parametrize("seed", range(6))
def test_a_sample_is_never_mirrored(two_sided: HeadMap, seed: int) -> None:
    places = sample(two_sided, seed).places.reshape(3, -1).numpy().T.astype(float)
    affine, _ = fitted_affine(coarse_points(), places)
    assert np.linalg.det(affine[:3, :3]) > 0
    assert 0.5 < np.linalg.det(affine[:3, :3]) ** (1 / 3) < 2.2


def answered(drawn: HeadSample, places: torch.Tensor) -> torch.Tensor:
    """What a network would answer that names every structure rightly."""
    named = functional.one_hot(drawn.labels[0].long(), len(STRUCTURES)).permute(3, 0, 1, 2).float()
    # Groups of channels: a structure, then its eight parts.
    parts = to_depth((20 * named)[None])
    return torch.cat([parts, places[None] / PLACE_MM], dim=1)


def test_the_loss_falls_with_right_names_and_right_places(two_sided: HeadMap) -> None:
    maps = type("", (), {"names": ("one",), "read": lambda self, index: two_sided})()
    lesson = HeadLesson(maps)
    torch.manual_seed(3)
    torch.randint(1, (1,))
    drawn = draw_head(two_sided)
    right = answered(drawn, drawn.places)
    assert (split(right)[0].argmax(0) == drawn.labels[0]).all()
    lost = [
        float(lesson.loss(lambda _, answer=answer: answer, 3))
        for answer in (right, answered(drawn, drawn.places + 20), torch.zeros_like(right))
    ]
    assert lost[0] < lost[1] - 0.5 < lost[2]
    assert affine_off_mm(drawn.places, drawn) < 0.01
    assert affine_off_mm(drawn.places + 10, drawn) == pytest.approx(17.3, abs=0.1)


@pytest.mark.slow
def test_the_command_trains_and_its_weights_are_read(heads: Path, tmp_path: Path) -> None:
    config = {
        "network": "head", "heads": str(heads), "kept": str(tmp_path / "kept"), "steps": 6, "checkpoint_every": 2,
        "hold_out_heads": ["head-2"],
    }  # fmt: skip
    (tmp_path / "head.yaml").write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "head.yaml"), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    path = tmp_path / "out/head.safetensors"
    card = read_card(path, HelperCard)
    assert (card.training["heads"], card.licence, card.resolution_mm) == (["head-1"], "Apache-2.0", 5.0)
    image, grid = t1w(2)
    assert np.isfinite(find_head(with_weights(network(), path, card), image, grid).mni_from_native).all()


@pytest.mark.slow
def test_heads_are_brought_to_the_template_once(heads: Path, tmp_path: Path) -> None:
    maps = HeadMaps(tuple(sorted(heads.glob("*.nii.gz"))), tmp_path)
    assert list(maps.make(2)) == ["head-1", "head-2"]
    assert list(maps.make(2)) == []
    assert maps.read(0).ids.max() < len(CODES)
    assert SIDE % 16 == 0
