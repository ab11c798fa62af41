"""The loss of equation 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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
    truth = functional.one_hot(target, len(share)).permute(3, 0, 1, 2).to(share.dtype)
    axes = (1, 2, 3)
    common, sizes = (share * truth).sum(axes), share.sum(axes) + truth.sum(axes)
    dice = ((2 * common + _SMOOTHING) / (sizes + _SMOOTHING)).mean()
    entropy = functional.binary_cross_entropy(share.clamp(_EPSILON, 1 - _EPSILON), truth)
    return torch.log((1 - dice + entropy) / 2 + _EPSILON)
