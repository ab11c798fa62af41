"""What the relay costs: overhead, first result, memory of the driver, two workers against one, an actor's call.

    python -m benchmarks.speed.runner overhead --cases 500
    python -m benchmarks.speed.runner many --cases 100000
    python -m benchmarks.speed.runner cohort --cases 4857
    python -m benchmarks.speed.runner scaling BIDS_DIR --library LIB.zarr --resolution 4.0
    python -m benchmarks.speed.runner actor

`overhead` and `many` carry cases whose stages do nothing: what they take is the relay. `many` prints the memory of the
driver while it goes. `cohort` carries small files through NumPy stages, 5% of the cases broken in six ways, and
accounts for every case. `scaling` runs real stages on one core and on two. `actor` runs a network in an actor and bare.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from cerebatch.batch.cluster.profile import Local
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger.events import Event
from cerebatch.batch.run import run_jobs
from cerebatch.timing import Step

STAGES = ("prepare", "atlas", "segment", "measure")
COHORT = Path(__file__).resolve().parents[2] / "tests" / "batch" / "cohort.py"


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
            labels = ["--method", "atlas", "--library", str(library)] if library else ["--labelled-case", str(case)]
            program = shutil.which("cerebatch", path=f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}")
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


def network() -> Any:
    """A network of the size of the ensemble's at 1 mm, with random weights: 3 channels in, 27 labels out."""
    import torch
    from torch import nn

    # What a program defines travels by value, its globals too: only those of the process itself last.
    held = sys.modules["__main__"].__dict__
    if "held_network" in held:
        return held["held_network"]
    torch.manual_seed(1)

    def block(channels: int, filters: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv3d(channels, filters, 3, padding=1), nn.InstanceNorm3d(filters), nn.ReLU())

    held["held_network"] = nn.Sequential(
        block(3, 32), nn.MaxPool3d(2), block(32, 64), block(64, 64), nn.Upsample(scale_factor=2), block(64, 32),
        nn.Conv3d(32, 27, 1),
    ).eval()  # fmt: skip
    return held["held_network"]


def forward(image: Any) -> Any:
    """Labels of an image (3, X, Y, Z) in bf16."""
    import torch

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return network()(torch.from_numpy(image)[None])[0].argmax(0).to(torch.uint8).numpy()


@dataclass(frozen=True)
class NetworkJob(Job):
    """A case whose only stage is a forward pass."""

    source: Path = Path()

    def needs(self) -> dict[str, Needs]:
        """An actor."""
        return {"segment": Needs("gpu", memory_gb=8.0)}

    def plan(self) -> list[Stage]:
        """Read, forward, write."""

        def make(folder: Path) -> list[Step]:
            np.save(folder / "dseg.npy", forward(np.load(self.source)))
            return []

        return [Stage("segment", 1, {"image": self.name}, {}, self.out_dir / self.name, make)]


def actor(calls: int) -> None:
    """A call of an actor, with reading, writing and its record, beside the bare forward pass; one thread each."""
    import torch

    from cerebatch.batch.advance import Call
    from cerebatch.batch.engines.on_ray import Actors, RayEngine

    torch.set_num_threads(1)
    image = np.random.default_rng(1).normal(size=(3, 144, 96, 96)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        out, source = Path(folder) / "out", Path(folder) / "image.npy"
        np.save(source, image)
        (Path(folder) / "run").mkdir(mode=0o700)
        engine = RayEngine(Actors(1, threads=1), Path(folder) / "run", lambda event: None, warm_up=network)
        taken: list[float] = []
        try:
            for number in range(calls + 1):
                job = NetworkJob(f"sub-{number}", out, out / "work", source=source)
                heard: queue.Queue[Any] = queue.Queue()
                began = time.perf_counter()
                engine.submit(Call(job, "segment", job.needs()["segment"]), heard.put)
                result = heard.get()
                taken.append(time.perf_counter() - began)
                if getattr(result, "ran", "") != "segment":
                    raise SystemExit(f"the call failed: {result}")
        finally:
            engine.close()
    bare = []
    for _ in range(calls + 1):
        began = time.perf_counter()
        forward(image)
        bare.append(time.perf_counter() - began)
    first, call, alone = taken[0], min(taken[1:]), min(bare[1:])
    print(f"first call, with the start of Ray: {first:.1f} s; then {call:.3f} s, bare forward pass {alone:.3f} s")
    print(f"ratio {call / alone:.3f}")


def main() -> None:
    """Choose and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(dest="what", required=True)
    for name, cases in (("overhead", 500), ("many", 100_000), ("cohort", 4857)):
        one = what.add_parser(name)
        one.add_argument("--cases", type=int, default=cases)
        one.add_argument("--cores", type=int, default=2)
    one = what.add_parser("actor")
    one.add_argument("--calls", type=int, default=8)
    real = what.add_parser("scaling")
    real.add_argument("bids", type=Path)
    real.add_argument("--library", type=Path)
    real.add_argument("--labelled-case", type=Path)
    real.add_argument("--resolution", default="4.0")
    options = parser.parse_args()
    if options.what == "cohort":
        cohort(options.cases)
    elif options.what == "actor":
        actor(options.calls)
    elif options.what == "scaling":
        scaling(options.bids, options.library, options.labelled_case, options.resolution)
    else:
        overhead(options.cases, options.cores)


if __name__ == "__main__":
    main()
