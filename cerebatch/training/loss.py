"""The loss of equation 1."""

from __future__ import annotations

import torch
from torch import Tensor

_SMOOTHING = 1.0
_EPSILON = 1e-6


def log_dice_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Logarithm of the mean of Dice loss and binary cross-entropy, in float32.

    Printed as a sum over classes, Dice would make the argument of the logarithm negative; its mean over all
    classes is taken, the background among them.

    Parameters
    ----------
    logits : (1, K, X, Y, Z) tensor
        Of any floating type.
    target : (X, Y, Z) tensor of int64
        Class of each voxel.

    Returns
    -------
    loss : () tensor
        ``log((1 - mean Dice + BCE) / 2)``.
    """
    share = logits[0].float().softmax(dim=0)
    own = share.gather(0, target[None])[0]  # of the true class; the others' truth is zero
    counts = torch.bincount(target.flatten(), minlength=len(share))
    common = torch.zeros_like(share[:, 0, 0, 0]).index_add(0, target.flatten(), own.flatten())
    dice = ((2 * common + _SMOOTHING) / (share.sum((1, 2, 3)) + counts + _SMOOTHING)).mean()
    sure, right = (one.clamp(_EPSILON, 1 - _EPSILON) for one in (share, own))
    entropy = (torch.log1p(-right) - torch.log(right)).sum() - torch.log1p(-sure).sum()
    return torch.log((1 - dice + entropy / share.numel()) / 2 + _EPSILON)
