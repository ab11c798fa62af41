"""Images of training: one intensity a tissue, deformed with their labels, with a scanner's flaws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cerebatch.library.tissues import TISSUES
from cerebatch.training.transforms.contrast import random_intensities, render
from cerebatch.training.transforms.deformation import Strength, deformed, deformed_labels, random_grid
from cerebatch.training.transforms.flaws import degraded, extraction

SHAPE = (40, 32, 24)
STILL = Strength(degrees=0, scale=0, shift_mm=0, elastic_mm=())


def test_an_image_is_the_mean_of_its_tissues() -> None:
    shares = torch.zeros(len(TISSUES), 2, 1, 1, dtype=torch.uint8)
    shares[1, 0] = 255
    shares[1, 1], shares[2, 1] = 51, 204
    image = render(shares, torch.arange(len(TISSUES)) * 10.0)
    assert image.flatten().tolist() == pytest.approx([10.0, 18.0])


def test_t1_like_images_have_the_order_of_tissues_and_t2_like_the_opposite() -> None:
    torch.manual_seed(0)
    fluid, grey, white = (TISSUES.index(name) for name in ("CSF", "GM", "WM"))
    t1 = torch.stack([random_intensities("T1-like") for _ in range(200)])
    t2 = torch.stack([random_intensities("T2-like") for _ in range(200)])
    assert ((t1[:, fluid] < t1[:, grey]) & (t1[:, grey] < t1[:, white])).float().mean() > 0.95
    assert ((t2[:, fluid] > t2[:, grey]) & (t2[:, grey] > t2[:, white])).float().mean() > 0.95
    arbitrary = torch.stack([random_intensities("arbitrary") for _ in range(200)])
    assert 0.3 < (arbitrary[:, grey] < arbitrary[:, white]).float().mean() < 0.7
    assert min(float(one.min()) for one in (t1, t2, arbitrary)) >= 0


def test_no_deformation_changes_nothing() -> None:
    image = torch.rand(2, *SHAPE)
    grid = random_grid(SHAPE, 1.0, STILL)
    assert torch.allclose(deformed(image, grid), image, atol=1e-4)
    labels = torch.randint(0, 27, (1, *SHAPE), dtype=torch.uint8)
    assert torch.equal(deformed_labels(labels, grid), labels)


def test_image_and_labels_move_together() -> None:
    torch.manual_seed(2)
    block = torch.zeros(1, *SHAPE, dtype=torch.uint8)
    block[:, 10:30, 8:24, 6:18] = 5
    grid = random_grid(SHAPE, 1.0, Strength())
    moved = deformed_labels(block, grid)[0]
    image = deformed(block.float(), grid)[0]
    assert not torch.equal(moved, block[0])
    assert torch.equal(moved > 0, moved == 5)
    assert ((image > 2.5) == (moved > 0)).float().mean() > 0.995


@pytest.mark.parametrize("voxel_mm", [1.0, 0.5])
def test_shifts_are_in_millimetres(voxel_mm: float) -> None:
    far = 0.0
    for seed in range(20):
        torch.manual_seed(seed)
        grid = random_grid(SHAPE, voxel_mm, Strength(degrees=0, scale=0, shift_mm=3.0, elastic_mm=()))
        still = random_grid(SHAPE, voxel_mm, STILL)
        voxels = ((grid - still) * torch.tensor(SHAPE[::-1]) / 2).abs().amax(dim=(0, 1, 2, 3))
        far = max(far, float(voxels.max()) * voxel_mm)
    assert 2.0 < far <= 3.001


def test_a_rotation_keeps_distances() -> None:
    """Also in a box that is no cube."""
    torch.manual_seed(3)
    grid = random_grid(SHAPE, 1.0, Strength(degrees=30, scale=0, shift_mm=0, elastic_mm=()))[0]
    places = grid.flip(-1) * torch.tensor(SHAPE) / 2
    for step in ((5, 0, 0), (0, 5, 0), (0, 0, 5)):
        x, y, z = step
        apart = (places[x:, y:, z:] - places[: SHAPE[0] - x, : SHAPE[1] - y, : SHAPE[2] - z]).norm(dim=-1)
        assert torch.allclose(apart, torch.tensor(5.0), atol=1e-3)


def test_flaws_are_the_same_for_the_same_seed_and_never_negative() -> None:
    image = torch.rand(SHAPE) * 200
    for seed in range(12):
        torch.manual_seed(seed)
        once = degraded(image)
        torch.manual_seed(seed)
        assert torch.equal(once, degraded(image))
        assert once.shape == image.shape
        assert torch.isfinite(once).all()
        assert float(once.min()) >= 0
        assert not torch.equal(once, image)


def test_extraction_takes_the_scalp_sometimes_and_the_brain_never() -> None:
    brain = torch.zeros(SHAPE)
    brain[10:30, 8:24, 6:18] = 1
    torch.manual_seed(0)
    masks = [extraction(brain) for _ in range(40)]
    whole = np.array([bool(mask.all()) for mask in masks])
    assert 0.2 < whole.mean() < 0.8
    inner = (slice(12, 28), slice(10, 22), slice(8, 16))
    assert all(bool(mask[inner].all()) for mask in masks)
