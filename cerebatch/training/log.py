"""The log of a training: a CSV file, and events for TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from cerebatch.training.loop import Progress

CSV_NAME = "log.csv"


class TrainingLog:
    """Writes what a training tells; a training that goes on adds to the same files.

    Parameters
    ----------
    folder : Path
    figures : tuple of str
        Names of what is checked.
    """

    def __init__(self, folder: Path, figures: tuple[str, ...]) -> None:
        self._names = figures
        path = folder / CSV_NAME
        is_new = not path.exists()
        self._file = path.open("a", newline="")
        self._rows = csv.writer(self._file)
        if is_new:
            self._rows.writerow(["step", "loss", "seconds_a_step", "mean", *self._names])
        self._events = SummaryWriter(str(folder / "events"))

    def add(self, progress: Progress) -> None:
        """Add a line."""
        found = [] if progress.figures is None else [float(progress.figures.mean()), *progress.figures.tolist()]
        told = [f"{value:.4f}" for value in found]
        self._rows.writerow([progress.step, f"{progress.loss:.4f}", f"{progress.seconds:.2f}", *told])
        self._file.flush()
        self._events.add_scalar("loss", progress.loss, progress.step)
        for name, value in zip(("mean", *self._names), found, strict=False):
            self._events.add_scalar(f"check/{name}", value, progress.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._events.close()
