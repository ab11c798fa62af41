"""What both architectures are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvReluNorm(nn.Sequential):
    """Convolution of 3 x 3 x 3, ReLU, normalisation, in the order of section 2.2.

    The batch has one case, so each channel is normalised over its voxels.

    Parameters
    ----------
    channels, filters : int
        In and out.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(
            nn.Conv3d(channels, filters, 3, padding=1),
            nn.ReLU(inplace=True),
            InstanceNorm(filters),
        )


class InstanceNorm(nn.Module):
    """Each channel of a case normalised over its voxels, then scaled and shifted.

    The backward pass of torch 2.13 on CPUs misreads gradients whose order in memory is not that of the features, which
    is what a convolution with channels last hands back. So they are put in order first. One case with channels
    last is batch normalisation of its voxels and needs no copy.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """The same shape, and the same order in memory."""
        if len(features) > 1 or not features.is_contiguous(memory_format=torch.channels_last_3d):
            return _in_order(functional.instance_norm(features.contiguous(), weight=self.weight, bias=self.bias))
        last = features.permute(0, 2, 3, 4, 1)
        voxels = functional.batch_norm(
            last.reshape(-1, last.shape[-1]), None, None, self.weight, self.bias, training=True
        )
        return _in_order(voxels).reshape(last.shape).permute(0, 4, 1, 2, 3)


def _in_order(normalised: Tensor) -> Tensor:
    """The same, with gradients that come back contiguous."""
    if normalised.requires_grad:
        normalised.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
    return normalised


def padded(image: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, ...]]:
    """An image with zeros at the far ends of its axes, so that each can be halved often enough.

    The coarsest level keeps three voxels: on CPUs without AMX, torch 2.13 makes the bfloat16 gradients of a convolution
    of 3 x 3 x 3 over an image of depth 2 from memory that nobody wrote.

    Parameters
    ----------
    image : (N, C, X, Y, Z) tensor
    multiple : int
        That each axis becomes divisible by; it becomes three times as long at least.

    Returns
    -------
    padded : tensor
    crop : tuple of slice
        The original in it.
    """
    shape: Sequence[int] = image.shape[2:]
    missing = [max(-size % multiple, 3 * multiple - size) for size in shape]
    pads = [pad for size in reversed(missing) for pad in (0, size)]
    crop = (..., *(slice(0, size) for size in shape))
    return (functional.pad(image, pads) if any(missing) else image), crop  # type: ignore[return-value]


def parameters_of(network: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(one.numel() for one in network.parameters())


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights lie."""
    return next(network.parameters()).device


def named_device(name: str) -> torch.device:
    """A device by its name; "auto" is a GPU where there is one."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
