"""Cascade and ensemble: how probabilities come together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cerebatch.errors import StageError
from cerebatch.labels import LABELS, mirrored
from cerebatch.networks.cascade import Cascade, Channels
from cerebatch.networks.ensemble import Ensemble, load

SHAPE, BOX = (16, 8, 8), (40, 24, 24)


class Says(nn.Module):
    """Says what a function of the image says, as logits."""

    def __init__(self, says: Any) -> None:
        super().__init__()
        self.says = says
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        shares: Tensor = self.says(image)
        return torch.log(shares + 1e-9)[None]


def halves(image: Tensor) -> Tensor:
    """Left where x is small, right where it is large; nothing at the ends of y."""
    shares = torch.zeros(3, *image.shape[2:])
    shares[1, :8], shares[2, 8:] = 0.9, 0.8
    shares[:, :, 0] = shares[:, :, -1] = 0.0
    shares[0] = 1 - shares[1:].sum(0)
    return shares


def lobule(code: int, share: float = 1.0) -> Any:
    """One structure everywhere."""

    def says(image: Tensor) -> Tensor:
        shares = torch.zeros(14, *image.shape[2:])
        shares[code], shares[0] = share, 1 - share
        return shares

    return says


def channels(atlas: Any = None) -> Channels:
    """A scan of noise."""
    noise = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    return Channels(noise, np.zeros_like(noise), atlas)


def test_the_probability_of_a_label_is_that_of_side_times_structure() -> None:
    found = Cascade("dpn", Says(halves), Says(lobule(5, 0.5))).probabilities(channels())
    assert found.shape == (27, *SHAPE)
    assert found[5, 3, 4, 4] == pytest.approx(0.45, abs=1e-4)
    assert found[13 + 5, 12, 4, 4] == pytest.approx(0.4, abs=1e-4)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found[1:, :, 0].max() < 1e-4


def test_the_second_network_sees_only_the_cerebellum_of_the_first() -> None:
    second = Says(lobule(1))
    given = channels()
    Cascade("dpn", Says(halves), second).probabilities(given)
    (seen,) = second.seen
    assert not seen[0, 0, :, 0].any()
    assert np.array_equal(seen[0, 0, :, 3].numpy(), given.t1w[:, 3])


def test_a_scan_without_a_cerebellum_is_told() -> None:
    nothing = Says(lambda image: torch.stack([torch.ones(image.shape[2:])] + [torch.zeros(image.shape[2:])] * 2))
    with pytest.raises(StageError, match="found no cerebellum"):
        Cascade("dpn", nothing, Says(lobule(1))).probabilities(channels())


def test_cascades_are_averaged_and_their_agreement_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cerebatch.networks.ensemble.brain_region", lambda mm: np.ones(SHAPE, dtype=bool))
    cascades = tuple(Cascade(name, Says(halves), Says(lobule(code))) for name, code in (("dpn", 5), ("unet", 6)))
    both = Ensemble(cascades, 1.0).segment(channels().t1w, mirror=False)
    assert both.probabilities[5, 3, 4, 4] == pytest.approx(0.45, abs=1e-4)
    assert both.probabilities[6, 3, 4, 4] == pytest.approx(0.45, abs=1e-4)
    assert both.agreement[4] == 0
    twice = (cascades[0], replace(cascades[0], architecture="unet"))
    alike = Ensemble(twice, 1.0).segment(channels().t1w, mirror=False)
    assert alike.agreement[4] == 1
    assert alike.confidence[4] == pytest.approx(0.9, abs=1e-3)
    assert np.isnan(alike.confidence[0])
    assert np.isnan(Ensemble(cascades[:1], 1.0).segment(channels().t1w).agreement).all()


@pytest.fixture
def random_ensemble(tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    monkeypatch.setattr("cerebatch.networks.ensemble.brain_region", lambda mm: np.ones(BOX, dtype=bool))
    for task in ("sides", "lobules"):
        write(tmp_path, task=task)
    ensemble = load(tmp_path, "cpu")
    # Random weights hardly find a cerebellum.
    (cascade,) = ensemble.cascades
    with torch.no_grad():
        cascade.sides.out.bias += torch.tensor([-3.0, 0.0, 0.0])  # type: ignore[operator, union-attr]
    return ensemble


def test_a_mirrored_scan_gives_the_mirrored_labels(random_ensemble: Ensemble) -> None:
    generator = np.random.default_rng(1)
    t1w = generator.random(BOX, dtype=np.float32)
    atlas = generator.integers(0, len(LABELS) + 1, t1w.shape, dtype=np.uint8)
    there = random_ensemble.segment(t1w, atlas=atlas).dseg
    back = random_ensemble.segment(t1w[::-1].copy(), atlas=mirrored(atlas[::-1])).dseg
    assert len(np.unique(there)) > 3
    assert np.mean(mirrored(back[::-1]) == there) > 0.999
    without = random_ensemble.segment(t1w, atlas=atlas, mirror=False).dseg
    assert np.mean(without == there) < 0.999


def test_half_precision_says_nearly_the_same(random_ensemble: Ensemble) -> None:
    t1w = np.random.default_rng(1).random(BOX, dtype=np.float32)
    whole = random_ensemble.segment(t1w).probabilities
    half = random_ensemble.segment(t1w, precision="bfloat16").probabilities
    assert not np.array_equal(whole, half)
    assert np.abs(whole - half).mean() < 0.01
