"""The driver killed at random moments of one run, and started again: the same bytes, and nothing done twice.

    python -m benchmarks.faults.driver_kills --kills 20 --seed 1 --profile local

Runs a cohort of small files (tests/batch/cohort.py), kills its driver with SIGKILL and starts it again. In the end the
results are compared with those of an undisturbed run, and the log of starts, which the relay does not know, with what
was complete at each kill. Exit status 1 if anything differs, or if not every stage was at work at some kill.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "tests" / "batch" / "cohort.py"
STAGES = ("prepare", "atlas", "segment", "measure")


def command(out: Path, options: argparse.Namespace, profile: str, work: float) -> list[str]:
    """The cohort as a command."""
    more = ["--gpu"] if options.gpu else []
    return [
        sys.executable, str(PROGRAM), str(out), f"--cases={options.cases}", f"--profile={profile}", f"--work={work}",
        "--memory-gb=1", *more,
    ]  # fmt: skip


def complete(out: Path) -> set[str]:
    """Stages with a record, as "case stage"."""
    return {f"{p.parent.name} {p.stem}" for stage in STAGES for p in out.glob(f"records/cases/*/{stage}.json")}


def lines(path: Path) -> list[str]:
    """Lines of a log."""
    return path.read_text().splitlines() if path.exists() else []


def results(out: Path) -> dict[str, bytes]:
    """Results by case."""
    return {path.parent.name: path.read_bytes() for path in out.glob("results/*/text")}


def main() -> None:
    """Kill, start again, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="local")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--work", type=float, default=0.4, help="seconds of each stage")
    parser.add_argument("--seconds", type=float, nargs=2, default=(3.0, 8.0), help="of a driver's life")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}, {options.kills} kills, {options.cases} cases, profile {options.profile}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        plain, out = Path(folder) / "plain", Path(folder) / "killed"
        subprocess.run(command(plain, options, "serial", 0), check=True, stdout=subprocess.DEVNULL)
        hit: Counter[str] = Counter()
        twice: list[str] = []
        for kill in range(options.kills):
            known, before = complete(out), len(lines(out / "starts.log"))
            with subprocess.Popen(
                command(out, options, options.profile, options.work),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                time.sleep(rng.uniform(*options.seconds))
                ended = process.poll() is not None
                process.kill()
            time.sleep(1)
            began = lines(out / "starts.log")[before:]
            twice += [start for start in began if start in known]
            at_work = [start.split()[1] for start in began if start not in complete(out)]
            hit.update(set(at_work))
            print(f"kill {kill + 1}: {len(complete(out))} stages complete, at work: {sorted(at_work)}", flush=True)
            if ended:
                print("the run had ended before: give more cases or less time")
        known, before = complete(out), len(lines(out / "starts.log"))
        subprocess.run(command(out, options, options.profile, 0), check=True, stdout=subprocess.DEVNULL)
        twice += [start for start in lines(out / "starts.log")[before:] if start in known]
        same = results(out) == results(plain)
        left = [str(path.relative_to(out)) for path in out.rglob("*.tmp")]
        print(f"results of {len(results(out))} cases, bytes as undisturbed: {same}; left over: {left or 'nothing'}")
        print(f"complete stages that were started again: {len(twice)} of {len(complete(out))}")
        print(f"kills that found a stage at work: {dict(hit)}")
    sys.exit(0 if same and not twice and not left and set(hit) == set(STAGES) else 1)


if __name__ == "__main__":
    main()
