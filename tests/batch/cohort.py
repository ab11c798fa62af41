"""A cohort of small files with faults to order, as a program: what the tests and benchmarks of the relay run.

    python cohort.py OUT_DIR --cases N --profile NAME [--fault CASE:STAGE:WHAT ...]

Four stages like the real ones. Each reads what the one before wrote and writes it with a line more; every start is
added to OUT_DIR/starts.log, which the relay does not know. Faults: raise (unexpectedly), refuse (an error of ours),
ERROR@NODE, read (the input is unreadable), hang, wait, memory, exit, full (no space on the disk). A fault ends when
OUT_DIR/mended is there; "once" ones by themselves.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.errors import StageError, UnreadableScanError
from cerebatch.io.stamp import FileStamp
from cerebatch.timing import Step, StepLog

STAGES = ("prepare", "atlas", "segment", "measure")

_ERRORS = {
    "ImportError": ImportError("libgomp.so.1: cannot open shared object file"),
    "EIO": OSError(errno.EIO, "Input/output error"),
    "ESTALE": OSError(errno.ESTALE, "Stale file handle"),
    "ENOSPC": OSError(errno.ENOSPC, "No space left on device"),
    "ValueError": ValueError("made to fail"),
}


@dataclass(frozen=True)
class Page:
    """Made after a case is done: where, and how it goes (made, told, raise, exit)."""

    path: Path
    how: str

    def __call__(self) -> str:
        """Why it could not be made, or nothing."""
        if self.how == "raise":
            raise ValueError("no colours")
        if self.how == "exit":
            os._exit(9)
        if self.how == "told":
            return "no page: no paper"
        self.path.write_text(f"page, by {os.getpid()}")
        return ""


@dataclass(frozen=True)
class SmallJob(Job):
    """A case of small files.

    Attributes
    ----------
    source : Path
        Text file.
    faults : tuple of (stage, what)
    gpu : bool
        Whether `segment` goes to the actors.
    work : float
        Seconds that each stage takes.
    limits : Needs
        Of every stage.
    """

    source: Path = field(kw_only=True)
    faults: tuple[tuple[str, str], ...] = ()
    gpu: bool = False
    work: float = 0.0
    limits: Needs = field(default_factory=lambda: Needs(memory_gb=0.5))

    @classmethod
    def with_page(cls, job: SmallJob, how: str) -> SmallJob:
        """The same case with something to make afterwards."""
        return replace(job, afterwards=Page(job.out_dir / f"{job.name}.page", how))

    def needs(self) -> dict[str, Needs]:
        """The same for all stages but the kind."""
        kinds = {"segment": "gpu" if self.gpu else "cpu"}
        return {stage: replace(self.limits, kind=kinds.get(stage, "cpu")) for stage in STAGES}  # type: ignore[arg-type]

    def plan(self) -> list[Stage]:
        """Each stage made from the one before."""
        try:
            before: FileStamp | str = FileStamp.of(self.source)
        except OSError as error:
            raise UnreadableScanError(self.source, expected="a file", found=str(error), do="Give one.") from error
        stages, source = [], self.source
        for name in STAGES:
            folder = self.out_dir / "results" / self.name if name == "measure" else self.scratch / name
            stage = Stage(name, 1, {"source": before}, {}, folder, self._maker(name, source))
            stages.append(stage)
            before, source = stage.key, folder / "text"
        return stages

    def _maker(self, name: str, source: Path):  # type: ignore[no-untyped-def]
        def make(folder: Path) -> list[Step]:
            log = StepLog()
            with log.step("work"):
                self._count(name)
                for stage, what in self.faults:
                    if stage == name:
                        self._suffer(what, name)
                time.sleep(self.work)
                text = source.read_text()
                if "broken" in text:
                    raise UnreadableScanError(source, expected="text that is whole", found="broken", do="Mend it.")
                total = int(np.frombuffer(text.encode(), dtype=np.uint8).sum())
                (folder / "text").write_text(f"{text}{name} {total}\n")
            return log.steps

        return make

    def _count(self, stage: str) -> None:
        with (self.out_dir / "starts.log").open("a") as stream:
            stream.write(f"{self.name} {stage}\n")

    def _suffer(self, what: str, stage: str) -> None:
        once = what.endswith("-once")
        mark = self.out_dir / f"suffered-{self.name}-{stage}"
        if (self.out_dir / "mended").exists() or (once and mark.exists()):
            return
        mark.touch()
        match what.removesuffix("-once"):
            case "raise":
                raise ValueError("made to fail")
            case "refuse":
                raise StageError("made to fail")
            case place if place.partition("@")[0] in _ERRORS:
                error, _, node = place.partition("@")
                if node in (os.environ.get("SLURMD_NODENAME"), "everywhere"):
                    raise _ERRORS[error]
            case "threads":
                names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
                (self.out_dir / "threads").write_text(" ".join(os.environ.get(name, "-") for name in names))
            case "hang":
                time.sleep(3600)
            case "wait":
                while not (self.out_dir / "mended").exists():
                    time.sleep(0.05)
            case "memory":
                held = bytearray(os.urandom(1024)) * 1_500_000
                time.sleep(2)
                del held
            case "exit":
                print("no more of this", file=sys.stderr, flush=True)
                os._exit(7)
            case "full":
                Path("/dev/full").write_text("a disk that is always full")
            case _:
                raise AssertionError(what)


def jobs_of(
    out: Path, cases: int, faults: dict[str, list[tuple[str, str]]], *, gpu: bool, work: float, limits: Needs
) -> list[SmallJob]:
    """Cases with their sources, which are written where they are missing."""
    sources = out.parent / f"{out.name}-sources"
    sources.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(cases):
        name = f"sub-{number:05d}"
        source = sources / f"{name}.txt"
        if not source.exists():
            source.write_text(f"case {name}\n")
        made.append(
            SmallJob(
                name, out, out / "work", source=source, faults=tuple(faults.get(name, ())), gpu=gpu, work=work,
                limits=limits,
            )
        )  # fmt: skip
    return made


def main() -> None:
    """Run the cohort and say how it ended."""
    from cerebatch.batch.cluster.profile import load_profile
    from cerebatch.batch.run import run_jobs

    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--profile", default="serial")
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--work", type=float, default=0.0)
    parser.add_argument("--memory-gb", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--retry-failed", action="store_true")
    options = parser.parse_args()
    faults: dict[str, list[tuple[str, str]]] = {}
    for fault in options.fault:
        case, stage, what = fault.split(":")
        faults.setdefault(case, []).append((stage, what))
    limits = Needs(memory_gb=options.memory_gb, minutes=options.minutes)
    jobs = jobs_of(options.out.resolve(), options.cases, faults, gpu=options.gpu, work=options.work, limits=limits)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    outcomes = run_jobs(
        jobs, load_profile(options.profile), out, lambda event: print(event, flush=True),
        retry_failed=options.retry_failed,
    )  # fmt: skip
    for outcome in outcomes:
        failure = f": {outcome.failure.kind}: {outcome.failure.message}" if outcome.failure else ""
        print(f"OUTCOME {outcome.case} {outcome.status}{failure}", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
