"""Losses on what is known of a voxel: shares of classes, or a set of classes that it may have. In float32."""

from __future__ import annotations

import torch
from torch import Tensor

_SMOOTHING = 1.0


def soft_loss(logits: Tensor, target: Tensor, weight: float) -> Tensor:
    """Cross-entropy on shares of classes, and one minus their mean Dice without the background.

    Parameters
    ----------
    logits : (1, K, X, Y, Z) tensor
    target : (P, X, Y, Z) tensor of int64
        Classes of the P parts that each voxel is made of.
    weight : float
        Of a voxel in the cross-entropy: one over the number of those that matter.

    Returns
    -------
    loss : () tensor
    """
    logs = logits[0].float().log_softmax(dim=0)
    shares = torch.zeros_like(logs)
    for part in target:
        shares.scatter_add_(0, part[None], torch.full_like(logs[:1], 1 / len(target)))
    entropy = -(shares * logs).sum() * weight
    found = logs.exp()
    axes = (1, 2, 3)
    dice = (2 * (found * shares).sum(axes) + _SMOOTHING) / (found.sum(axes) + shares.sum(axes) + _SMOOTHING)
    return entropy + 1 - dice[1:].mean()


def set_loss(logits: Tensor, allowed: Tensor, weight: float) -> Tensor:
    """Minus the logarithm of what the classes that a voxel may have are given together.

    Parameters
    ----------
    logits : (1, K, X, Y, Z) tensor
    allowed : (X, Y, Z) tensor of int32
        Bits ``1 << class``; never none.
    weight : float
        Of a voxel, as in `soft_loss`.

    Returns
    -------
    loss : () tensor
    """
    logs = logits[0].float().log_softmax(dim=0)
    bits = torch.arange(len(logs), device=allowed.device)[:, None, None, None]
    may = (allowed[None] >> bits) & 1 > 0
    together = torch.logsumexp(logs.masked_fill(~may, -torch.inf), dim=0)
    return -together.sum() * weight
