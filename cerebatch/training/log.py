"""The log of a training: a CSV file, and events for TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from cerebatch.labels import STRUCTURES
from cerebatch.networks.card import Task
from cerebatch.training.loop import Progress

CSV_NAME = "log.csv"
_CLASSES: dict[Task, tuple[str, ...]] = {"sides": ("left", "right"), "lobules": STRUCTURES}


class TrainingLog:
    """Writes what a training tells; a training that goes on adds to the same files.

    Parameters
    ----------
    folder : Path
    task : {"sides", "lobules"}
    """

    def __init__(self, folder: Path, task: Task) -> None:
        self._names = _CLASSES[task]
        path = folder / CSV_NAME
        is_new = not path.exists()
        self._file = path.open("a", newline="")
        self._rows = csv.writer(self._file)
        if is_new:
            self._rows.writerow(["step", "loss", "seconds_a_step", "dice", *(f"dice_{name}" for name in self._names)])
        self._events = SummaryWriter(str(folder / "events"))

    def add(self, progress: Progress) -> None:
        """Add a line."""
        dice = [] if progress.dice is None else [float(progress.dice.mean()), *progress.dice.tolist()]
        figures = [f"{value:.4f}" for value in dice]
        self._rows.writerow([progress.step, f"{progress.loss:.4f}", f"{progress.seconds:.2f}", *figures])
        self._file.flush()
        self._events.add_scalar("loss", progress.loss, progress.step)
        for name, value in zip(("mean", *self._names), dice, strict=False):
            self._events.add_scalar(f"dice/{name}", value, progress.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._events.close()
