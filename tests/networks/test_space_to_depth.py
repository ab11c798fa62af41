"""A U-net on every second voxel: nothing is lost, nothing changes its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cerebatch.networks.architectures.build import CLASSES, build
from cerebatch.networks.architectures.space_to_depth import SpaceToDepthUNet, _to_depth, _to_space
from cerebatch.networks.card import Task
from cerebatch.spatial.stride import decompose


def test_parts_are_those_of_the_stride_decomposition_and_go_back_to_their_places() -> None:
    image = torch.randn(2, 3, 6, 8, 10)
    parts = _to_depth(image)
    assert parts.shape == (2, 24, 3, 4, 5)
    for scan in range(2):
        for channel in range(3):
            assert np.array_equal(
                parts[scan, 8 * channel : 8 * channel + 8].numpy(), decompose(image[scan, channel].numpy())
            )
    assert torch.equal(_to_space(parts, 3), image)
    assert torch.equal(_to_depth(_to_space(parts, 3)), parts)


@pytest.mark.parametrize("task", ["sides", "lobules"])
@pytest.mark.parametrize("shape", [(48, 48, 48), (16, 24, 9), (49, 50, 47)])
def test_any_shape_comes_out_as_it_went_in(task: Task, shape: tuple[int, int, int]) -> None:
    network = SpaceToDepthUNet(CLASSES[task], 4).eval()
    with torch.inference_mode():
        logits = network(torch.randn(1, 2 + CLASSES[task], *shape))
    assert logits.shape == (1, CLASSES[task], *shape)
    assert torch.isfinite(logits).all()


def test_the_network_sees_shares_of_the_classes_of_an_atlas_and_both_images_whole() -> None:
    network = SpaceToDepthUNet(3, 4).eval()
    seen: list[torch.Tensor] = []
    network.downs[0].register_forward_hook(lambda _module, given, _answer: seen.append(given[0]))
    codes = torch.randint(0, 3, (48, 48, 48))
    atlas = torch.stack([(codes == k).float() for k in range(3)])
    images = torch.randn(2, 48, 48, 48)
    with torch.inference_mode():
        network(torch.cat([images, atlas])[None])
    assert torch.equal(_to_space(seen[0][:, :16], 2)[0], images)
    shares = seen[0][0, 16:]
    assert shares.shape == (3, 24, 24, 24)
    assert torch.equal(shares[1, 0, 0, 0], (codes[:2, :2, :2] == 1).float().mean())
    assert torch.allclose(shares.sum(0), torch.ones(24, 24, 24))


def test_each_fine_voxel_has_an_answer_of_its_own() -> None:
    """Of one coarse voxel the eight answers come from eight groups of channels, a class after the other."""
    network = SpaceToDepthUNet(3, 4).eval()
    with torch.no_grad():
        network.out.weight.zero_()
        network.out.bias.copy_(torch.arange(24.0))
        logits = network(torch.zeros(1, 5, 48, 48, 48))
    for label in range(3):
        for part in range(8):
            a, b, c = part // 4, part // 2 % 2, part % 2
            assert (logits[0, label, a::2, b::2, c::2] == 8 * label + part).all()


def test_the_two_networks_by_their_name() -> None:
    sides, lobules = build("unet-s2d", "sides"), build("unet-s2d", "lobules")
    assert isinstance(sides, SpaceToDepthUNet)
    assert isinstance(lobules, SpaceToDepthUNet)
    assert (sides.classes, lobules.classes) == (3, 14)
