"""What a large cohort costs before anything is computed: dry run, start, status, a finished run skipped; seconds.

    python -m benchmarks.speed.large_cohort --cases 5000

The scans are small files and the results are made up, with the records that a run would have left; the commands are the
real ones, with the default method. No pages are written.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from cerebatch.batch.case import CaseJob
from cerebatch.batch.ledger.records import Record, write_model
from cerebatch.io.bids import find_cases
from cerebatch.io.stamp import FileStamp
from cerebatch.stages.settings import RunSettings
from cerebatch.stages.sources import checked_weights

_OUTPUTS = ("dseg.nii.gz", "volumes.tsv", "quality.json", "confidence.tsv", "xfm.txt")


def make_dataset(folder: Path, cases: int) -> None:
    """A BIDS dataset of tiny scans."""
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    scan = gzip.compress(image.to_bytes())
    folder.mkdir()
    (folder / "dataset_description.json").write_text('{"Name": "many", "BIDSVersion": "1.10.0"}')
    for number in range(cases):
        anat = folder / f"sub-{number:05d}" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-{number:05d}_T1w.nii.gz").write_bytes(scan)


def pretend_finished(bids: Path, out: Path) -> None:
    """Records and outputs as a run leaves them."""
    settings = RunSettings(resolution=1.0, method="networks", weights=checked_weights(None, 1.0).resolve())
    for case in find_cases(bids).cases:
        job = CaseJob(case.name, out, out / "work", case=case, settings=settings)
        for stage in job.plan():
            outputs = {}
            if stage.name == "measure":
                (stage.folder / "anat").mkdir(parents=True)
                for name in _OUTPUTS:
                    path = stage.folder / "anat" / f"{case.name}_{name}"
                    path.write_text(name)
                    outputs[f"anat/{path.name}"] = FileStamp.of(path)
            record = Record(
                stage=stage.name, version=stage.version, key=stage.key, inputs=stage.inputs, settings=stage.settings,
                outputs=outputs, folder=os.path.relpath(stage.folder, out),
                information={"seconds": 60.0, "steps": [{"name": "all", "seconds": 60.0, "peak_mb": 900.0}]},
            )  # fmt: skip
            write_model(job.record_path(stage.name), record)


def seconds(*arguments: str | Path, until: str = "") -> str:
    """Seconds that a command takes, or takes until a line has a word, by the clock and of CPU."""
    command = [sys.executable, "-P", "-m", "cerebatch", *map(str, arguments)]
    began, before = time.perf_counter(), cpu_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.rstrip()
            if until and until in line:
                took = time.perf_counter() - began
                process.kill()
                return f"{took:.1f} s"
    print(f"   last line: {last}")
    return f"{time.perf_counter() - began:.1f} s ({cpu_seconds() - before:.1f} s of CPU)"


def cpu_seconds() -> float:
    """That the commands so far took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=5000)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        bids, out = Path(folder) / "bids", Path(folder) / "out"
        make_dataset(bids, cases)
        run = ("run", bids, out, "participant", "--profile", "serial", "--no-pages")
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        print(f"{cases} cases; {load}; `cerebatch --version`: {seconds('--version')}", flush=True)
        print(f"dry run, all new: {seconds(*run, '--dry-run')}", flush=True)
        print(f"start, all new, to the first stage: {seconds(*run, until='prepare')}", flush=True)
        subprocess.run(["rm", "-rf", out], check=True)
        pretend_finished(bids, out)
        print(f"dry run, all done: {seconds(*run, '--dry-run')}", flush=True)
        print(f"finished run skipped: {seconds(*run)}", flush=True)
        print(f"status, all done: {seconds('status', out)}", flush=True)


if __name__ == "__main__":
    main()
