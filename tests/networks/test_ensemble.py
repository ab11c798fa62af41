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
from cerebatch.networks.cascade import Cascade, Channels, SideCascade, WholeCascade
from cerebatch.networks.ensemble import Ensemble, Segmentation, load

SHAPE, BOX = (16, 8, 8), (40, 24, 24)
RIGHT = np.indices(SHAPE)[0] >= 8


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
    middle = image.shape[2] // 2
    shares = torch.zeros(3, *image.shape[2:])
    shares[1, :middle], shares[2, middle:] = 0.9, 0.8
    shares[:, :, 0] = shares[:, :, -1] = 0.0
    shares[0] = 1 - shares[1:].sum(0)
    return shares


def everywhere(left: float, right: float) -> Any:
    """The same of every voxel."""

    def says(image: Tensor) -> Tensor:
        shares = torch.tensor([1 - left - right, left, right])
        return shares[:, None, None, None].expand(3, *image.shape[2:])

    return says


def lobule(code: int, share: float = 1.0) -> Any:
    """One structure everywhere."""

    def says(image: Tensor) -> Tensor:
        shares = torch.zeros(14, *image.shape[2:])
        shares[code], shares[0] = share, 1 - share
        return shares

    return says


def channels(atlas: Any = None, shape: tuple[int, ...] = SHAPE) -> Channels:
    """A scan of noise."""
    noise = np.random.default_rng(0).random(shape, dtype=np.float32)
    return Channels(noise, np.zeros_like(noise), atlas)


def labelled(monkeypatch: pytest.MonkeyPatch, *cascades: Cascade, mirror: bool = False) -> Segmentation:
    """What cascades say of noise."""
    monkeypatch.setattr("cerebatch.networks.ensemble.brain_region", lambda mm: np.ones(SHAPE, dtype=bool))
    return Ensemble(cascades, 1.0).segment(channels().t1w, mirror=mirror)


@pytest.mark.parametrize("kind", [WholeCascade, SideCascade])
def test_the_probability_of_a_label_is_its_side_times_its_structure_where_that_is_not_background(
    kind: type[Cascade], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(image: Tensor) -> Tensor:
        shares = torch.zeros(14, *image.shape[2:])
        shares[0], shares[5], shares[6] = 0.9, 0.08, 0.02
        return shares

    found = labelled(monkeypatch, kind("dpn", Says(halves), Says(unsure))).probabilities
    assert found.shape == (27, *SHAPE)
    # The background of the second network is not asked: 0.9 of it takes nothing from the side.
    assert found[[5, 6], 3, 4, 4] == pytest.approx([0.9 * 0.8, 0.9 * 0.2], abs=1e-3)
    assert found[[18, 19], 12, 4, 4] == pytest.approx([0.8 * 0.8, 0.8 * 0.2], abs=1e-3)
    assert found[0, [3, 12], 4, 4] == pytest.approx([0.1, 0.2], abs=1e-3)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found[1:, :, 0].max() < 1e-4


@pytest.mark.parametrize("kind", [WholeCascade, SideCascade])
def test_a_voxel_is_cerebellum_where_all_labels_together_are_more_probable_than_background(
    kind: type[Cascade], monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(image: Tensor) -> Tensor:
        # Background is more probable than any one label, and less than both sides together; at x = 2 it is more.
        shares = torch.zeros(3, *image.shape[2:])
        shares[1], shares[2] = 0.3, 0.25
        shares[1, 8:], shares[2, 8:] = 0.25, 0.3
        shares[1:, 2] -= 0.05
        shares[0] = 1 - shares[1:].sum(0)
        return shares

    found = labelled(monkeypatch, kind("dpn", Says(split), Says(lobule(5)))).dseg
    assert np.array_equal(found, np.where(np.indices(SHAPE)[0] == 2, 0, np.where(RIGHT, 18, 5)))


def test_the_second_network_of_a_whole_cascade_sees_what_the_first_found() -> None:
    def one_slab(image: Tensor) -> Tensor:
        shares = torch.zeros(3, *image.shape[2:])
        shares[1, 8:16, 8:16, 8:16] = 0.9
        shares[1, 12, 8:16, 8:16] = 0.0  # a fissure
        shares[0] = 1 - shares[1]
        return shares

    given = channels(shape=BOX)
    second = Says(lobule(1))
    cascade = WholeCascade("dpn", Says(one_slab), second)
    cascade.structure_shares(given, cascade.side_shares(given))
    (seen,) = second.seen
    # As in its training: the fissure is open, and the block begins and ends at multiples of 8.
    inside = np.zeros(BOX, dtype=bool)
    inside[8:16, 8:16, 8:16] = True
    inside[12] = False
    assert np.array_equal(seen[0, 0].numpy(), (given.t1w * inside)[8:16, 8:16, 8:16])


def test_a_side_is_seen_by_itself_and_turned_as_a_left_one() -> None:
    codes = np.zeros(BOX, dtype=np.uint8)
    codes[2:20, 4:20, 4:20], codes[20:38, 4:20, 4:20] = 3, 13 + 7
    given = channels(codes, BOX)
    first, second = Says(halves), Says(lobule(5))
    cascade = SideCascade("unet-s2d", first, second)
    side = cascade.side_shares(given)
    assert first.seen[0].shape == (1, 5, *BOX)
    shares = cascade.structure_shares(given, side)
    left, right = (seen[0].numpy() for seen in second.seen)
    assert left.shape[0] == right.shape[0] == 16
    # Of the 40 voxels 20 are left; two more are seen, and what lies beyond is as dark as the darkest voxel.
    assert np.array_equal(left[0, :22], given.t1w[:22])
    assert (left[0, 22:] == given.t1w.min()).all()
    assert np.array_equal(right[0, :22], given.t1w[::-1][:22])
    assert (left[1] == 0).all()
    # Codes of its own side alone, as those of a left side.
    assert left[2 + 3].any()
    assert right[2 + 7].any()
    assert not left[[2 + k for k in range(1, 14) if k != 3]].any()
    assert not right[[2 + k for k in range(1, 14) if k != 7]].any()
    assert np.array_equal(left[2:].sum(axis=0), np.ones(left.shape[1:]))
    # The answer lies in its place again: on the left where the left was seen, on the right where the right was.
    assert (shares[4, :24] > 0.99).all()
    assert (shares[4, 24:] == 0).all()
    assert (shares[13 + 4, 16:] > 0.99).all()
    assert (shares[13 + 4, :16] == 0).all()


def test_a_share_of_the_side_that_is_not_asked_for_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    found = labelled(monkeypatch, SideCascade("unet-s2d", Says(everywhere(0.3, 0.25)), Says(lobule(5))))
    assert (found.dseg == 5).all()
    assert np.allclose(found.probabilities[0], 0.45, atol=1e-5)
    assert np.allclose(found.probabilities.sum(axis=0), 1, atol=1e-5)


def test_of_one_side_alone_the_other_is_not_asked_for() -> None:
    second = Says(lobule(5))
    cascade = SideCascade("unet-s2d", Says(everywhere(0.0, 0.9)), second)
    given = channels()
    shares = cascade.structure_shares(given, cascade.side_shares(given))
    assert len(second.seen) == 1
    assert not shares[:13].any()
    assert (shares[13 + 4] > 0.99).all()


@pytest.mark.parametrize("kind", [WholeCascade, SideCascade])
def test_a_scan_without_a_cerebellum_is_told(kind: type[Cascade]) -> None:
    given, cascade = channels(), kind("dpn", Says(everywhere(0, 0)), Says(lobule(1)))
    with pytest.raises(StageError, match="the dpn found no cerebellum"):
        cascade.structure_shares(given, cascade.side_shares(given))


def test_cascades_are_averaged_and_their_agreement_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cascades = tuple(WholeCascade(name, Says(halves), Says(lobule(code))) for name, code in (("dpn", 5), ("unet", 6)))
    both = labelled(monkeypatch, *cascades)
    assert both.probabilities[5, 3, 4, 4] == pytest.approx(0.45, abs=1e-4)
    assert both.probabilities[6, 3, 4, 4] == pytest.approx(0.45, abs=1e-4)
    assert both.agreement[4] == 0
    alike = labelled(monkeypatch, cascades[0], replace(cascades[0], architecture="unet"))
    assert alike.agreement[4] == 1
    assert alike.confidence[4] == pytest.approx(0.9, abs=1e-3)
    assert np.isnan(alike.confidence[0])
    assert np.isnan(labelled(monkeypatch, cascades[0], mirror=True).agreement).all()


def test_a_cascade_of_one_side_decides_the_foreground_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    old = WholeCascade("dpn", Says(everywhere(0.5, 0.49)), Says(lobule(5)))
    new = SideCascade("unet-s2d", Says(halves), Says(lobule(6)))
    foreground = np.zeros(SHAPE, dtype=bool)
    foreground[:, 1:-1] = True
    for cascades in ((old, new), (new, old)):
        found = labelled(monkeypatch, *cascades)
        assert np.array_equal(found.dseg > 0, foreground)
        assert np.array_equal(found.by_architecture["dpn"], np.where(foreground, np.where(RIGHT, 18, 5), 0))
        assert found.probabilities[[5, 6], 3, 4, 4] == pytest.approx([0.45, 0.45], abs=1e-3)
    # The first network of the old one is not even run.
    assert not old.sides.seen
    assert (labelled(monkeypatch, old).dseg > 0).all()


@pytest.fixture(params=["dpn", "unet-s2d"])
def random_ensemble(
    tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Ensemble:
    monkeypatch.setattr("cerebatch.networks.ensemble.brain_region", lambda mm: np.ones(BOX, dtype=bool))
    for task in ("sides", "lobules"):
        write(tmp_path, request.param, task)
    ensemble = load(tmp_path, "cpu")
    (cascade,) = ensemble.cascades
    assert type(cascade) is (SideCascade if request.param == "unet-s2d" else WholeCascade)
    # Random weights hardly find a cerebellum.
    with torch.no_grad():
        bias = cascade.sides.out.bias
        bias[: len(bias) // 3] -= 3  # type: ignore[operator, arg-type, index]
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
