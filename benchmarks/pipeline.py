"""Seconds and peak memory of every step for one whole head.

python benchmarks/steps.py DATA [--threads N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from cerebatch.bids import find_cases
from cerebatch.files import write_image
from cerebatch.phantom import template_case
from cerebatch.stages.measure import measure
from cerebatch.stages.prepare import prepare
from cerebatch.stages.segment import segment_by_case


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--participant", default="whole01")
    arguments = parser.parse_args()
    case = find_cases(arguments.data / "scans", participants=[arguments.participant]).cases[0]
    threads = arguments.threads
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared, segmented, measured = (folder / stage for stage in ("prepare", "segment", "measure"))
        for stage in (prepared, segmented, measured):
            stage.mkdir()
        labelled_case = folder / "case.nii.gz"
        write_image(labelled_case, *template_case(1.0), "MNI")
        steps = {
            "prepare": prepare(case.t1w, prepared),
            "segment": segment_by_case(labelled_case, segmented, threads=threads),
            "measure": measure(
                case, prepared, segmented, measured, provenance={"Method": "benchmark"}, threads=threads
            ),
        }
    print(f"{case.name}: ANTs on one thread, kernels on {threads}\n")
    print("| stage | step | seconds | peak memory, MB |\n|---|---|---|---|")
    for stage, done in steps.items():
        for step in done:
            memory = "n/a" if step.peak_mb is None else f"{step.peak_mb:.0f}"
            print(f"| {stage} | {step.name} | {step.seconds:.1f} | {memory} |")
    print(f"| all | | {sum(s.seconds for done in steps.values() for s in done):.1f} | |")


if __name__ == "__main__":
    main()
