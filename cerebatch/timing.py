"""Seconds and peak memory of the steps of a stage."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """What one step took.

    Attributes
    ----------
    name : str
    seconds : float
        Wall clock.
    peak_mb : float or None
        Largest resident memory of the process during the step, MB (10^6 bytes); None where the system does
        not tell (anything but Linux).
    """

    name: str
    seconds: float
    peak_mb: float | None


@dataclass
class StepLog:
    """Collects steps in the order in which they end.

    Attributes
    ----------
    steps : list of Step
    """

    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the block."""
        _reset_peak()
        started = time.perf_counter()
        yield
        self.steps.append(Step(name, time.perf_counter() - started, _peak_mb()))


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # no Linux, or no permission: the peak is then that of the whole process


def _peak_mb() -> float | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else None
