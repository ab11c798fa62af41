"""What the relay carries: a job is one case, a list of stages, and where its outputs go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cerebatch.batch.ledger.records import stage_key
from cerebatch.io.files import require_absolute
from cerebatch.io.stamp import FileStamp
from cerebatch.timing import Step

Kind = Literal["cpu", "gpu"]

STAGES = ("prepare", "atlas", "segment", "measure")
"""All stages that a scan may go through, in order."""

KNOWN_STAGES = (*STAGES, "augment")
"""Profiles may name these whether or not a run has them."""


@dataclass(frozen=True)
class Needs:
    """What a stage needs while it runs.

    Attributes
    ----------
    kind : {"cpu", "gpu"}
        Where it runs: as a Dask task, or in a Ray actor that holds its networks.
    threads : int
        Cores.
    memory_gb : float
        GB (10^9 bytes); a stage that takes more is ended.
    minutes : float
        A stage that takes longer is taken to hang and is ended.
    """

    kind: Kind = "cpu"
    threads: int = 1
    memory_gb: float = 2.0
    minutes: float = 120.0


@dataclass(frozen=True)
class Stage:
    """One stage of one case: what decides its output, and how it is made.

    Attributes
    ----------
    name : str
    version : int
    inputs : dict
        Role -> stamp of a file, or key of the stage before.
    settings : dict
        Those that the stage reads.
    folder : Path
        Where the outputs go.
    make : callable
        Writes the outputs into the folder that it is given.
    """

    name: str
    version: int
    inputs: dict[str, FileStamp | str]
    settings: dict[str, Any]
    folder: Path
    make: Callable[[Path], list[Step]]

    @property
    def key(self) -> str:
        """Digest of what decides the output."""
        return stage_key(self.name, self.version, self.inputs, self.settings)


@dataclass(frozen=True)
class Job(ABC):
    """One case and where it goes. Holds paths and settings, never voxels; travels to workers.

    Attributes
    ----------
    name : str
        Of the case, unlike any other in the run.
    out_dir, work_dir : Path
        Outputs that stay, and intermediate files; absolute.
    keep_work : bool
        Whether intermediate files stay once the case is done.
    afterwards : callable, optional
        Called where the last stage ran, once the case is done: makes views of what is written, such as pages. Gives why
        it could not, in words, or nothing; whatever happens in it, the case is done.

    Raises
    ------
    InputError
        A path is relative.
    """

    name: str
    out_dir: Path
    work_dir: Path
    keep_work: bool = False
    afterwards: Callable[[], str] | None = None

    def __post_init__(self) -> None:
        require_absolute(self.out_dir, self.work_dir)

    @abstractmethod
    def needs(self) -> dict[str, Needs]:
        """What each stage needs, in the order in which they run; the same for all jobs of a run."""

    def memory_gb(self, stage: str) -> float:
        """Memory in GB that a stage of this very case takes, as far as it can be told before; 0 where it cannot."""
        del stage
        return 0.0

    @abstractmethod
    def plan(self) -> list[Stage]:
        """The stages with the keys that today's inputs and settings give; called where the stage will run."""

    @property
    def records(self) -> Path:
        """Folder of all that is written down about the case."""
        return case_folder(self.out_dir, self.name)

    def record_path(self, stage: str) -> Path:
        """Where the record of a stage stands."""
        return self.records / f"{stage}.json"

    @property
    def failure_path(self) -> Path:
        """Where it is written why the case stopped."""
        return self.records / "failure.json"

    @property
    def lease_path(self) -> Path:
        """Where it is written who works on the case."""
        return self.records / "lease.json"

    @property
    def log_path(self) -> Path:
        """Lines of what happened to the case, only ever added to."""
        return self.out_dir / "logs" / f"{self.name}.log"

    @property
    def scratch(self) -> Path:
        """Folder of the case's intermediate files."""
        return self.work_dir / self.name


def case_folder(out_dir: Path, name: str) -> Path:
    """Folder of all that is written down about a case."""
    return out_dir / "records" / "cases" / name
