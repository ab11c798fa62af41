"""What a run does: one frozen model, dumped beside every output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cerebatch.spatial.space import RESOLUTIONS

Method = Literal["networks", "atlas", "single case"]
"""Where labels come from, as every output names it."""


def _known(resolution: float) -> float:
    if str(resolution) not in RESOLUTIONS:
        raise ValueError(f"expected one of {', '.join(RESOLUTIONS)}, found {resolution}")
    return resolution


class RunSettings(BaseModel):
    """Settings of a run; unknown keys are refused.

    Attributes
    ----------
    resolution : {1.0, 0.5, 4.0}
        Edge of the MNI grid in millimetres. 4.0 is for trials of scale and marked so in every output.
    method : {"networks", "atlas", "single case"}
    weights : Path or None
        Folder of weights of the networks.
    library : Path or None
        Library of labelled cases that an atlas of each scan is made from: the labels, or a channel of the networks.
    labelled_case : Path or None
        Label map on the template (cerebatch codes, MNI frame) that is carried over to every scan.
    registration : Path or None
        Weights of the network that registers library cases; None: greedy does.
    icv : Path or None
        Weights of the network that sees the intracranial cavity; None: the affine's scale tells its volume.
    superres : Path or None
        Weights of the network that refines a T1w coarser than the grid; None: it is interpolated.
    t2_synthesis : Path or None
        Weights of the network that makes up a T2w where none was scanned; None: the ensemble goes without.
    precision : {"float32", "bfloat16"}
        Of the networks.
    probseg : bool
        Whether the networks' probabilities are written.
    seed : int
        Seed of everything that draws numbers.
    threads : int
        Threads of one case in our own kernels; the outputs do not depend on it. ANTs runs on one, always.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Annotated[float, AfterValidator(_known)] = 1.0
    method: Method
    weights: Path | None = None
    library: Path | None = None
    labelled_case: Path | None = None
    registration: Path | None = None
    icv: Path | None = None
    superres: Path | None = None
    t2_synthesis: Path | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    probseg: bool = False
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _source_of_labels(self) -> Self:
        needed = {"networks": self.weights, "atlas": self.library, "single case": self.labelled_case}
        if needed[self.method] is None:
            raise ValueError(f"expected what the method {self.method!r} takes its labels from")
        if (self.weights is not None) != (self.method == "networks"):
            raise ValueError("expected weights for the method 'networks' alone")
        if self.registration is not None and self.library is None:
            raise ValueError("expected a library whose cases the registration network brings to a scan")
        if self.t2_synthesis is not None and self.method != "networks":
            raise ValueError("expected T2 synthesis for the method 'networks' alone")
        if self.labelled_case is not None and (self.method != "single case" or self.library is not None):
            raise ValueError("expected a labelled case for the method 'single case' alone, and no library beside it")
        return self
