"""The card of a file of weights: what it is, what it was trained on, how it scores, under which licence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cerebatch.errors import WeightsError
from cerebatch.spatial.space import TEMPLATE_SPACE

Architecture = Literal["dpn", "unet", "dpn-refined", "unet-refined", "unet-s2d"]
REFINED: dict[Architecture, Architecture] = {"dpn-refined": "dpn", "unet-refined": "unet"}
"""Networks of half the voxel edge -> the coarse ones inside them."""

Task = Literal["sides", "lobules"]
Helper = Literal["icv", "registration", "superres", "t2synth"]
"""Networks beside the ensemble."""

CHANNELS = ("T1w", "T2w", "atlas")
"""Channels of every network; one that is absent is zero."""

FORMAT = 1
FORMATS = (1, 2)
"""What can be read; of 2 the second network sees one side at a time, and the atlas is one channel a class."""

LICENCE = "CC-BY-NC-SA-4.0"
"""Of the lobule maps that the networks learn from, and therefore of the weights."""

GIVE = "Give a folder of weights that `cerebatch train` wrote, or use those that cerebatch brings."


class BaseCard(BaseModel, ABC):
    """What any file of weights is.

    Attributes
    ----------
    format : int
    channels : tuple of str
        In the order in which the network takes them.
    resolution_mm : float
    space : str
        Template of the box.
    parameters : int
    training : dict
        Data, steps, seeds.
    scores : dict
        Name of a figure -> its value, with how it was measured.
    licence : str
        SPDX identifier.
    sha256 : str
        Of the safetensors file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    channels: tuple[str, ...]
    resolution_mm: float
    space: str = TEMPLATE_SPACE
    parameters: int
    training: dict[str, Any]
    scores: dict[str, Any] = {}
    licence: str = LICENCE
    sha256: str = ""

    @property
    @abstractmethod
    def stem(self) -> str:
        """Name of the files."""


class Card(BaseCard):
    """A network of the ensemble.

    Attributes
    ----------
    architecture : {"dpn", "unet", "dpn-refined", "unet-refined"}
    task : {"sides", "lobules"}
    """

    architecture: Architecture
    task: Task
    channels: tuple[str, ...] = CHANNELS

    @property
    def stem(self) -> str:
        """Architecture and task."""
        return f"{self.architecture}-{self.task}"


class HelperCard(BaseCard):
    """A network that serves the ensemble.

    Attributes
    ----------
    network : {"icv", "registration", "superres", "t2synth"}
    """

    network: Helper

    @property
    def stem(self) -> str:
        """Its name."""
        return self.network


_CardKind = TypeVar("_CardKind", bound=BaseCard)


def read_card(path: Path, kind: type[_CardKind]) -> _CardKind:
    """Card of a file of weights.

    Parameters
    ----------
    path : Path
        Of the weights.
    kind : type
        `Card` or `HelperCard`.

    Raises
    ------
    WeightsError
        No card, or not one of this version and kind.
    """
    card = path.with_suffix(".json")
    expected = f"a card of version {' or '.join(map(str, FORMATS))}"
    try:
        read = kind.model_validate_json(card.read_bytes())
    except OSError as error:
        raise WeightsError(card, expected="the card of the weights", found=str(error.strerror), do=GIVE) from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise WeightsError(card, expected=expected, found=found, do=GIVE) from error
    if read.format not in FORMATS:
        do = "These weights need a later cerebatch: update it, or use those that it brings."
        raise WeightsError(card, expected=expected, found=f"version {read.format}", do=do)
    return read
