"""What a run does: one frozen model, dumped beside every output."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RunSettings(BaseModel):
    """Settings of a run; unknown keys are refused.

    Attributes
    ----------
    resolution : {1.0, 0.5, 4.0}
        Edge of the MNI grid in millimetres. 4.0 is for trials of scale and marked so in every output.
    labelled_case : Path
        Label map on the template (cerebatch codes, MNI frame) that is carried over to every scan.
    seed : int
        Seed of everything that draws numbers.
    threads : int
        Threads of one case. With another number the last bits of the outputs may differ.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Literal[1.0, 0.5, 4.0] = 1.0
    labelled_case: Path
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1)
