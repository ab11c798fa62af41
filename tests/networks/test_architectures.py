"""The two architectures: sizes of the paper, any shape in and the same out."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from cerebatch.networks.architectures.blocks import parameters_of
from cerebatch.networks.architectures.build import CLASSES, build
from cerebatch.networks.architectures.dpn import DPN
from cerebatch.networks.architectures.refined import Refined
from cerebatch.networks.architectures.unet import UNet
from cerebatch.networks.card import REFINED, Architecture, Task

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


def channels(architecture: Architecture, task: Task) -> int:
    """T1w, T2w and an atlas, which is one channel or one a class."""
    return 2 + (CLASSES[task] if architecture == "unet-s2d" else 1)


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
        logits = network(torch.randn(1, channels(architecture, "lobules"), *shape))
    assert logits.shape == (1, 14, *shape)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_voxel_is_seen_in_its_place(architecture: Architecture) -> None:
    """The network is no permutation of space: what changes lies around what was changed."""
    torch.manual_seed(1)
    network = build(architecture, "sides").eval()
    size = 2 if architecture in REFINED else 1
    image = torch.randn(1, channels(architecture, "sides"), 48 * size, 32 * size, 32 * size)
    changed = image.clone()
    changed[..., 40 * size : 41 * size, 8 * size : 9 * size, 20 * size : 21 * size] += 5
    with torch.inference_mode():
        moved = torch.nn.functional.avg_pool3d((network(changed) - network(image)).abs().sum(1), size)[0]
    assert torch.unravel_index(moved.argmax(), moved.shape)[0] >= 36
    assert moved[38:43, 6:11, 18:23].mean() > 5 * moved[:20].mean()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_sleeps_outside_training(architecture: Architecture) -> None:
    network = build(architecture, "sides").eval()
    image = torch.randn(1, channels(architecture, "sides"), 32, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(image), network(image))


@pytest.mark.parametrize("architecture", REFINED)
def test_an_untrained_refinement_says_what_the_coarse_network_says_of_halved_images(architecture: Architecture) -> None:
    network = build(architecture, "sides").eval()
    assert isinstance(network, Refined)
    atlas = torch.randint(0, 3, (1, 1, 16, 24, 16)).float() / 2
    image = torch.cat([torch.randn(1, 2, 16, 24, 16), atlas], dim=1)
    fine = image.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    with torch.inference_mode():
        said, coarse = network(fine), network.coarse(image)
    assert torch.allclose(torch.nn.functional.avg_pool3d(said, 2)[..., 1:-1, 1:-1, 1:-1], smoothed(coarse), atol=1e-4)


def test_a_refinement_never_averages_codes_of_the_atlas() -> None:
    network = build("dpn-refined", "sides").eval()
    assert isinstance(network, Refined)
    seen: list[torch.Tensor] = []
    network.coarse.register_forward_hook(lambda _module, given, _answer: seen.append(given[0]))
    image = torch.zeros(1, 3, 32, 32, 32)
    image[:, 2, 9:] = 1  # a border inside a coarse voxel
    with torch.inference_mode():
        network(image)
    assert set(seen[0][:, 2].unique().tolist()) == {0.0, 1.0}


def smoothed(logits: torch.Tensor) -> torch.Tensor:
    """Means of the eight voxels that linear interpolation puts into each one, inside the margin of a voxel."""
    for axis in (2, 3, 4):
        size = logits.shape[axis]
        before, own, after = (logits.narrow(axis, start, size - 2) for start in (0, 1, 2))
        logits = (before + 6 * own + after) / 8
    return logits
