"""What the relay costs: overhead, first result, memory of the driver, two workers against one, an actor's call.

    python benchmarks/relay.py overhead --cases 500
    python benchmarks/relay.py many --cases 100000
    python benchmarks/relay.py cohort --cases 4857
    python benchmarks/relay.py scaling BIDS_DIR --library LIB.zarr --resolution 4.0
    python benchmarks/relay.py actor

`overhead` and `many` carry cases whose stages do nothing: what they take is the relay. `many` prints the memory of the
driver while it goes. `cohort` carries small files through NumPy stages, 5% of the cases broken in six ways, and
accounts for every case. `scaling` runs real stages on one core and on two. `actor` runs a network in an actor and bare.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from cerebatch.batch.events import Event
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.profile import Local
from cerebatch.batch.run import run_jobs

STAGES = ("prepare", "atlas", "segment", "measure")
COHORT = Path(__file__).resolve().parents[1] / "tests" / "batch" / "cohort.py"


@dataclass(frozen=True)
class EmptyJob(Job):
    """A case whose stages do nothing."""

    def needs(self) -> dict[str, Needs]:
        """Little."""
        return {stage: Needs(memory_gb=0.5) for stage in STAGES}

    def plan(self) -> list[Stage]:
        """Four stages, each made from the one before."""
        stages: list[Stage] = []
        for name in STAGES:
            before = stages[-1].key if stages else self.name
            stages.append(Stage(name, 1, {"before": before}, {}, self.scratch / name, lambda folder: []))
        return stages


def driver_mb() -> float:
    """Memory of this process, MB."""
    return float(psutil.Process().memory_info().rss / 1e6)


def overhead(cases: int, cores: int) -> None:
    """Seconds a case and stage, to the first result, and memory while it goes."""
    first: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        jobs = [EmptyJob(f"sub-{number:06d}", out, out / "work") for number in range(cases)]
        print(
            f"{cases} cases of {len(STAGES)} empty stages, {cores} cores; driver before: {driver_mb():.0f} MB",
            flush=True,
        )
        began = time.perf_counter()

        def tell(event: Event) -> None:
            if event.what == "started" and not first:
                first.append(time.perf_counter() - began)

        profile = Local(kind="local", cores=cores, memory_gb=8.0)
        most, at_first = driver_mb(), 0.0
        counts: Counter[str] = Counter()
        for done, outcome in enumerate(run_jobs(jobs, profile, out, tell), start=1):
            counts[outcome.status] += 1
            if done == 1:
                at_first = time.perf_counter() - began
            if done % max(1, cases // 20) == 0:
                most = max(most, driver_mb())
                print(f"{done} cases, {time.perf_counter() - began:.1f} s, driver {driver_mb():.0f} MB", flush=True)
            if done == cases:
                last = time.perf_counter() - began
        each = (last - at_first) / ((cases - 1) * len(STAGES))
        print(f"outcomes {dict(counts)}")
        print(f"first stage after {first[0]:.2f} s, first case after {at_first:.2f} s")
        print(f"overhead {1000 * each:.2f} ms a case and stage; driver at most {most:.0f} MB")


def cohort(cases: int) -> None:
    """Every case of a cohort accounted for, 5% of them broken."""
    ways = ("raise", "hang", "memory", "exit", "full", "broken")
    broken = {number: ways[place % 6] for place, number in enumerate(range(7, cases, 20))}
    faults = [f"--fault=sub-{n:05d}:{STAGES[n % 4]}:{way}" for n, way in broken.items() if way != "broken"]
    with tempfile.TemporaryDirectory() as folder:
        out, sources = Path(folder) / "out", Path(folder) / "out-sources"
        sources.mkdir()
        for number, way in broken.items():
            if way == "broken":
                (sources / f"sub-{number:05d}.txt").write_text("broken\n")
        profile = Path(folder) / "profile.yaml"
        profile.write_text(f"kind: local\nmemory_gb: 8\ncores: {psutil.cpu_count()}\n")
        began = time.perf_counter()
        # A disk that is full for five cases in a row would stop the run; here the full ones are far apart.
        with subprocess.Popen(
            [sys.executable, str(COHORT), str(out), f"--cases={cases}", f"--profile={profile}", "--memory-gb=1",
             "--minutes=0.1", *faults],
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            outcomes: dict[str, str] = {}
            most = 0.0
            for line in process.stdout:
                if line.startswith("OUTCOME "):
                    _, case, status = line.split(maxsplit=2)
                    outcomes[case] = " ".join(status.split(":")[:2]).strip()
                    if len(outcomes) % 100 == 1:
                        used = psutil.Process(process.pid).memory_info().rss / 1e6
                        most = max(most, used)
                        if len(outcomes) % 500 == 1:
                            print(f"{len(outcomes)} cases, driver {used:.0f} MB", flush=True)
        print(f"{len(outcomes)} of {cases} cases in {time.perf_counter() - began:.0f} s, driver at most {most:.0f} MB")
        print(f"broken: {dict(Counter(broken.values()))}")
        print(f"outcomes: {dict(Counter(outcomes.values()))}")
        wrong = [n for n in range(cases) if (outcomes[f"sub-{n:05d}"] == "done") != (n not in broken)]
        print(f"cases with the wrong outcome: {wrong or 'none'}")


def scaling(bids: Path, library: Path | None, case: Path | None, resolution: str) -> None:
    """Real stages on one core and on two."""
    taken = {}
    for cores in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            profile = Path(folder) / "profile.yaml"
            profile.write_text(f"kind: local\ncores: {cores}\nmemory_gb: 16\n")
            labels = ["--library", str(library)] if library else ["--labelled-case", str(case)]
            program = shutil.which("cerebatch", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
            assert program is not None
            began = time.perf_counter()
            subprocess.run(
                [program, "run", str(bids), f"{folder}/out", "participant", *labels, "--resolution", resolution,
                 "--profile", str(profile)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            taken[cores] = time.perf_counter() - began
            print(f"{cores} cores: {taken[cores]:.1f} s", flush=True)
    print(f"two workers against one: {taken[1] / taken[2]:.2f} times as fast")


def main() -> None:
    """Choose and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(dest="what", required=True)
    for name, cases in (("overhead", 500), ("many", 100_000), ("cohort", 4857)):
        one = what.add_parser(name)
        one.add_argument("--cases", type=int, default=cases)
        one.add_argument("--cores", type=int, default=2)
    real = what.add_parser("scaling")
    real.add_argument("bids", type=Path)
    real.add_argument("--library", type=Path)
    real.add_argument("--labelled-case", type=Path)
    real.add_argument("--resolution", default="4.0")
    options = parser.parse_args()
    if options.what == "cohort":
        cohort(options.cases)
    elif options.what == "scaling":
        scaling(options.bids, options.library, options.labelled_case, options.resolution)
    else:
        overhead(options.cases, options.cores)


if __name__ == "__main__":
    main()
