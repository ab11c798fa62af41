"""The two architectures: sizes of the paper, any shape in and the same out."""

from __future__ import annotations

import pytest
import torch

from cerebatch.networks.blocks import parameters_of
from cerebatch.networks.build import CLASSES, build
from cerebatch.networks.card import Architecture
from cerebatch.networks.dpn import DPN
from cerebatch.networks.unet import UNet

ARCHITECTURES: tuple[Architecture, ...] = ("dpn", "unet")


@pytest.mark.parametrize(
    ("kind", "published", "tolerance"), [(DPN, 696_177, 0.002), (UNet, 3_433_473, 0.05)], ids=["DPN", "U-net"]
)
def test_two_networks_have_about_the_parameters_of_table_2(
    kind: type[DPN] | type[UNet], published: int, tolerance: float
) -> None:
    count = sum(parameters_of(kind(3, classes)) for classes in CLASSES.values())
    assert abs(count - published) < tolerance * published
    assert f"{count:,}" in (kind.__doc__ or "")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(16, 24, 16), (17, 9, 21)])
def test_what_goes_in_comes_out_in_the_same_shape(architecture: Architecture, shape: tuple[int, int, int]) -> None:
    network = build(architecture, "lobules").eval()
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, *shape))
    assert logits.shape == (1, 14, *shape)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_voxel_is_seen_in_its_place(architecture: Architecture) -> None:
    """The network is no permutation of space: what changes lies around what was changed."""
    torch.manual_seed(1)
    network = build(architecture, "sides").eval()
    image = torch.randn(1, 3, 48, 32, 32)
    changed = image.clone()
    changed[..., 40, 8, 20] += 5
    with torch.inference_mode():
        moved = (network(changed) - network(image)).abs().sum(1)[0]
    assert torch.unravel_index(moved.argmax(), moved.shape)[0] >= 36
    assert moved[38:43, 6:11, 18:23].mean() > 5 * moved[:20].mean()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_sleeps_outside_training(architecture: Architecture) -> None:
    network = build(architecture, "sides").eval()
    image = torch.randn(1, 3, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(network(image), network(image))
