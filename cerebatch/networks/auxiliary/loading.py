"""Networks that serve the ensemble: where their weights lie, and reading them once in a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cerebatch.errors import SettingsError, WeightsError
from cerebatch.networks.card import GIVE, Helper, HelperCard, read_card
from cerebatch.networks.folder import shipped_folder

if TYPE_CHECKING:
    from torch import nn

    from cerebatch.spatial.deformable import Register


def helper_weights(name: Helper, folder: Path | None = None, resolution: float | None = None) -> Path:
    """Weights of a helper network: in a folder of the user's, or those that cerebatch brings.

    Parameters
    ----------
    name : {"icv", "registration", "superres", "t2synth"}
    folder : Path, optional
    resolution : float, optional
        What a subfolder such as ``0.5mm`` holds goes before.

    Raises
    ------
    SettingsError
        There are none.
    """
    path = (folder or shipped_folder()) / f"{name}.safetensors"
    if resolution is not None and (own := path.parent / f"{resolution:g}mm" / path.name).exists():
        return own
    if not path.exists():
        who = f"{folder} holds" if folder else "cerebatch brings"
        raise SettingsError(
            f"{who} no weights of the {name} network ({path.name}). Leave its option out, or give "
            "--auxiliary-weights a folder with weights that `cerebatch train` wrote."
        )
    return path


def helper_card(path: Path, name: Helper, resolution: float | None = None) -> HelperCard:
    """Card of a helper network's weights.

    Parameters
    ----------
    path : Path
    name : {"icv", "registration", "superres", "t2synth"}
        That it must be.
    resolution : float, optional
        That it must have been trained at, mm.

    Raises
    ------
    WeightsError
        No card, or that of another network or resolution.
    """
    card = read_card(path, HelperCard)
    if card.network != name or resolution not in (None, card.resolution_mm):
        at = "" if resolution is None else f" at {resolution:g} mm"
        raise WeightsError(
            path,
            expected=f"weights of {name}{at}",
            found=f"those of {card.network} at {card.resolution_mm:g} mm",
            do=GIVE,
        )
    return card


@lru_cache(maxsize=len(get_args(Helper)))
def load_helper(path: Path, name: Helper) -> nn.Module:
    """A helper network for inference on this machine's GPU or CPU, read once in a process.

    Raises
    ------
    WeightsError
        The weights cannot be used.
    """
    from cerebatch.networks.architectures.blocks import named_device
    from cerebatch.networks.auxiliary import intracranial, t2synth
    from cerebatch.networks.auxiliary.registration import RegistrationNetwork
    from cerebatch.networks.auxiliary.superres import SuperResolution
    from cerebatch.networks.weights import with_weights

    made = {
        "icv": intracranial.network,
        "registration": RegistrationNetwork,
        "superres": SuperResolution,
        "t2synth": t2synth.network,
    }[name]()
    return with_weights(made, path, helper_card(path, name)).to(named_device("auto"))


def register_by(weights: Path) -> Register:
    """The registration network in greedy's place, read once in a process.

    Parameters
    ----------
    weights : Path

    Raises
    ------
    WeightsError
        They cannot be used.
    """
    from cerebatch.networks.auxiliary.registration import by_network

    card = helper_card(weights, "registration")
    return by_network(load_helper(weights, "registration"), card.resolution_mm)
