"""What a run does: one frozen model, dumped beside every output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cerebatch.space import RESOLUTIONS


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
    library : Path or None
        Library of labelled cases that an atlas of each scan is made from.
    labelled_case : Path or None
        Label map on the template (cerebatch codes, MNI frame) that is carried over to every scan. One of the two.
    seed : int
        Seed of everything that draws numbers.
    threads : int
        Threads of one case in our own kernels; the outputs do not depend on it. ANTs runs on one, always.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Annotated[float, AfterValidator(_known)] = 1.0
    library: Path | None = None
    labelled_case: Path | None = None
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_source_of_labels(self) -> Self:
        if (self.library is None) == (self.labelled_case is None):
            raise ValueError("expected a library or a labelled case, one of the two")
        return self
