"""`cerebatch train`: one network from its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="YAML file: see docs/networks.md.")],
    folder: Annotated[
        Path, typer.Argument(help="Gets checkpoint, log and weights; an unfinished training there is resumed.")
    ],
) -> None:
    """Train a network of the ensemble; the same command resumes a training that was killed."""
    from cerebatch.training.train import read_config
    from cerebatch.training.train import train as run_training

    print(f"wrote {run_training(read_config(config), folder, lambda line: print(line, flush=True))}")
