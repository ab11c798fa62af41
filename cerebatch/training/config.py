"""What a training does: a strict YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cerebatch.networks.card import REFINED, Architecture, Helper, Task

Count = Annotated[int, Field(ge=1)]


class LoopConfig(BaseModel):
    """How any network is trained; unknown keys are refused.

    Attributes
    ----------
    steps : int
        One sample each.
    seed : int
    start : Path or None
        Weights to begin with, of the same network; of a refined one also those of the coarse network inside it.
    optimizer : {"adam, then adamax", "adamax", "adam"}
        The first: Adam for two thirds of the steps (2000 of 3000 epochs in the paper), Adamax for the rest.
    learning_rate : float
        At first; it falls to a twentieth along a cosine.
    falls_from : float
        Share of the steps after which the learning rate begins to fall.
    average : float
        Of the moving average of the weights, which is what is validated and kept: with one case a step they wander.
    mixed_precision : bool
        bfloat16 where it is safe.
    validate_every, checkpoint_every : int
        Steps.
    threads : int
        On a CPU.
    device : str
        "auto": a GPU where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Count
    seed: int = Field(default=1, ge=0)
    start: Path | None = None
    optimizer: Literal["adam, then adamax", "adamax", "adam"] = "adam, then adamax"
    learning_rate: float = Field(default=1e-3, gt=0)
    falls_from: float = Field(default=0.0, ge=0, lt=1)
    average: float = Field(default=0.99, ge=0, lt=1)
    mixed_precision: bool = True
    validate_every: Count = 250
    checkpoint_every: Count = 50
    threads: Count = 1
    device: str = "auto"


class TrainingConfig(LoopConfig):
    """Settings of the training of a network of the ensemble.

    Attributes
    ----------
    library : Path
        Finished library.
    atlases : Path
        Folder of the atlases of its cases; made where they are missing.
    architecture : {"dpn", "unet", "dpn-refined", "unet-refined"}
    task : {"sides", "lobules"}
        Which network of the cascade.
    hold_out : tuple of str
        People that the network never sees, in cases nor in atlases; with more than one there are no atlases.
    hold_out_heads : tuple of str
        Heads that are kept for validation.
    validation_cases : int
    augmented : Path or None
        Augmentation set that half of the samples are of (section 3.6).
    """

    library: Path
    atlases: Path
    architecture: Architecture
    task: Task
    hold_out: tuple[str, ...] = ()
    hold_out_heads: tuple[str, ...] = ()
    validation_cases: Count = 4
    augmented: Path | None = None

    @model_validator(mode="after")
    def _refines_something(self) -> Self:
        """The coarse network inside a refined one does not learn."""
        if self.architecture in REFINED and self.start is None:
            raise ValueError(f"`start`: expected weights for {self.architecture} to refine, found none")
        return self


class CascadeConfig(LoopConfig):
    """Settings of the training of a network that learns from simulated heads and from scans outlined by hand.

    Attributes
    ----------
    network : "cascade"
    library : Path
        Finished library of 0.5 mm.
    geometries : Path
        Folder of the heads that were drawn from it; made where they are missing.
    count : int
        How many heads are drawn.
    prepared : Path or None
        Folder with what `prepare` wrote of each outlined scan, a folder a scan, named as the scan.
    outlines : Path or None
        BIDS derivatives with the manual labels of these scans.
    learnt, checked : tuple of str
        Scans to learn from, and to judge by; names such as ``sub-1002``.
    architecture : {"unet-s2d"}
    task : {"sides", "lobules"}
    hold_out : tuple of str
        People whose maps the network never sees, in cases nor in atlases.
    """

    network: Literal["cascade"]
    library: Path
    geometries: Path
    count: Count = 400
    prepared: Path | None = None
    outlines: Path | None = None
    learnt: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    architecture: Literal["unet-s2d"] = "unet-s2d"
    task: Task
    hold_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _outlines_of_the_scans(self) -> Self:
        if (self.learnt or self.checked) and (self.prepared is None or self.outlines is None):
            raise ValueError("`learnt`, `checked`: expected `prepared` and `outlines`, found none")
        return self


class IcvConfig(LoopConfig):
    """Settings of the training of the network that sees the intracranial cavity.

    Attributes
    ----------
    network : "icv"
    heads : Path
        Folder of whole-head label maps.
    kept : Path
        Folder of what is made of them; made where it is missing.
    hold_out_heads : tuple of str
        Names of heads that are kept for validation.
    """

    network: Literal["icv"]
    heads: Path
    kept: Path
    hold_out_heads: tuple[str, ...] = ()


class LibraryConfig(LoopConfig):
    """Settings of the training of a helper network that learns from a library.

    Attributes
    ----------
    network : {"registration", "superres", "t2synth"}
    library : Path
        At the network's resolution: 1 mm for registration, the finer one for super-resolution.
    hold_out : tuple of str
        People that the network never sees; they are for validation.
    """

    network: Helper
    library: Path
    hold_out: tuple[str, ...] = ()


class SuperresConfig(LibraryConfig):
    """Settings of the training of super-resolution.

    Attributes
    ----------
    scans : Path or None
        BIDS dataset of real scans to learn from as well.
    learn_scans, check_scans : tuple of str
        People of that dataset, without ``sub-``: to learn from, and to validate with.
    """

    network: Literal["superres"]
    scans: Path | None = None
    learn_scans: tuple[str, ...] = ()
    check_scans: tuple[str, ...] = ()


class T2SynthConfig(LibraryConfig):
    """Settings of the training of T2 synthesis."""

    network: Literal["t2synth"]


class RegistrationConfig(LibraryConfig):
    """Settings of the training of the registration network."""

    network: Literal["registration"]


NETWORKS: dict[str | None, type[LoopConfig]] = {
    None: TrainingConfig,
    "cascade": CascadeConfig,
    "icv": IcvConfig,
    "registration": RegistrationConfig,
    "superres": SuperresConfig,
    "t2synth": T2SynthConfig,
}
"""What `network` of a configuration says -> its model; those of the ensemble say architecture and task instead."""
