"""Weights on disk: a safetensors file and, beside it, a card that says what it is."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cerebatch.errors import WeightsError
from cerebatch.io.stamp import file_sha256
from cerebatch.networks.architectures.build import build
from cerebatch.networks.card import GIVE, BaseCard, Card, read_card


def write_weights(folder: Path, network: nn.Module, card: BaseCard, dtype: torch.dtype = torch.float32) -> Path:
    """Write weights and card.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    network : Module
    card : BaseCard
        Its digest is filled in.
    dtype : torch.dtype
        Of the stored numbers.

    Returns
    -------
    path : Path
        Of the safetensors file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.stem}.safetensors"
    stored = {name: value.detach().cpu().to(dtype).contiguous() for name, value in network.state_dict().items()}
    # One entry: safetensors writes several in random order, and the same weights would be other bytes.
    path.write_bytes(save(stored, metadata={"licence": card.licence}))
    whole = card.model_copy(update={"sha256": file_sha256(path)})
    path.with_suffix(".json").write_text(whole.model_dump_json(indent=2) + "\n")
    return path


def read_state(path: Path, card: BaseCard) -> dict[str, Tensor]:
    """Weights in float32 by their names, after their digest was checked.

    Parameters
    ----------
    path : Path
    card : BaseCard
        Of this file.

    Raises
    ------
    WeightsError
        No such file, another one than its card says, or no safetensors file.
    """
    try:
        found = file_sha256(path)
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(path, expected="a safetensors file", found=str(error), do=GIVE) from error
    if found != card.sha256:
        raise WeightsError(
            path, expected=f"SHA-256 {card.sha256[:12]} as its card says", found=found[:12], do="Get the file again."
        )
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def read_network(path: Path) -> nn.Module:
    """A network of the ensemble with its weights, in float32, for inference.

    Raises
    ------
    WeightsError
        As `read_state`; or the weights do not fit the architecture.
    """
    card = read_card(path, Card)
    return with_weights(build(card.architecture, card.task), path, card)


def with_weights(network: nn.Module, path: Path, card: BaseCard) -> nn.Module:
    """A network with the weights of a file, in float32, for inference; errors as of `fill`."""
    fill(network, path, card)
    return network.eval().requires_grad_(False)


def fill(network: nn.Module, path: Path, card: BaseCard) -> None:
    """Give a network the weights of a file.

    Raises
    ------
    WeightsError
        As `read_state`; or the weights are those of another network.
    """
    try:
        network.load_state_dict(read_state(path, card))
    except RuntimeError as error:
        raise WeightsError(
            path, expected=f"weights of {card.stem}", found=str(error).splitlines()[-1].strip(), do=GIVE
        ) from error
