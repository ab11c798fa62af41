"""Losses on shares of classes, and on sets of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cerebatch.training.targets import set_loss, soft_loss

K, SHAPE = 5, (4, 3, 2)
VOXELS = int(np.prod(SHAPE))


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(1, K, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_the_loss_of_a_set_is_minus_the_logarithm_of_its_summed_probability(logits: Tensor) -> None:
    allowed = torch.randint(1, 1 << K, SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.int32)
    shares = logits[0].softmax(0).numpy()
    expected = 0.0
    for place in np.ndindex(*SHAPE):
        classes = [k for k in range(K) if int(allowed[place]) >> k & 1]
        expected -= np.log(sum(shares[(k, *place)] for k in classes))
    assert float(set_loss(logits, allowed, 1 / VOXELS)) == pytest.approx(expected / VOXELS, rel=1e-5)


def test_where_all_is_allowed_nothing_is_learnt_and_one_class_is_cross_entropy(logits: Tensor) -> None:
    every = torch.full(SHAPE, (1 << K) - 1, dtype=torch.int32)
    known = logits.clone().requires_grad_()
    loss = set_loss(known, every, 1.0)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert known.grad is not None
    assert float(known.grad.abs().max()) < 1e-6
    target = torch.randint(0, K, SHAPE, generator=torch.Generator().manual_seed(3))
    one = set_loss(logits, (1 << target).int(), 1 / VOXELS)
    assert float(one) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, target[None])), rel=1e-5)


def test_a_set_that_seems_impossible_still_has_a_gradient() -> None:
    sure = torch.zeros(1, K, *SHAPE)
    sure[0, 0] = 80
    sure.requires_grad_()
    loss = set_loss(sure, torch.full(SHAPE, 0b00110, dtype=torch.int32), 1 / VOXELS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(80 - np.log(2), abs=0.01)
    assert sure.grad is not None
    assert torch.isfinite(sure.grad).all()
    assert (sure.grad[0, 1] < 0).all()
    assert (sure.grad[0, 0] > 0).all()


def test_the_soft_loss_is_cross_entropy_on_shares_and_one_minus_the_dice_of_what_is_no_background(
    logits: Tensor,
) -> None:
    parts = torch.randint(0, K, (8, *SHAPE), generator=torch.Generator().manual_seed(4))
    shares = np.stack([(parts == k).float().mean(0).numpy() for k in range(K)])
    found = logits[0].softmax(0).numpy()
    entropy = -(shares * np.log(found)).sum() / VOXELS
    dice = [(2 * (found[k] * shares[k]).sum() + 1) / (found[k].sum() + shares[k].sum() + 1) for k in range(1, K)]
    assert float(soft_loss(logits, parts, 1 / VOXELS)) == pytest.approx(entropy + 1 - np.mean(dice), rel=1e-5)


def test_parts_that_agree_are_a_hard_target_and_a_right_answer_costs_nothing() -> None:
    target = torch.randint(0, K, SHAPE, generator=torch.Generator().manual_seed(5))
    right = 40 * torch.nn.functional.one_hot(target, K).permute(3, 0, 1, 2)[None].float()
    assert float(soft_loss(right, target[None].expand(8, *SHAPE), 1 / VOXELS)) == pytest.approx(0, abs=1e-5)
    assert float(soft_loss(-right, target[None], 1 / VOXELS)) > 10


def test_losses_of_bfloat16_logits_are_computed_in_float32(logits: Tensor) -> None:
    coarse = logits.bfloat16()
    parts = torch.zeros(1, *SHAPE, dtype=torch.int64)
    assert soft_loss(coarse, parts, 1.0).dtype == torch.float32
    assert float(soft_loss(coarse, parts, 1.0)) == float(soft_loss(coarse.float(), parts, 1.0))
    assert set_loss(coarse, torch.ones(SHAPE, dtype=torch.int32), 1.0).dtype == torch.float32
