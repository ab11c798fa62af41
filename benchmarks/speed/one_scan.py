"""Seconds of `cerebatch segment` beside the sum of its stages, and whether a format changes the labels.

    python -m benchmarks.speed.one_scan DATA [--out TABLE.tsv] [--threads 1]

DATA has `scans/`, `scans-unlabelled/sub-whole03` and its DICOM series in `scan-dicom/`. Each scan is a call of its own,
as a user types it: what it takes longer than its stages is Python, imports, weights and reading.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from benchmarks.common.tables import write_table
from cerebatch.measures.overlap import mean_dice

_STAGE_S = re.compile(r"\((?:\d) of (?:\d)\) ([\d.]+) s")


def main() -> None:
    """Print a line a scan, and the Dice of the same scan in two formats."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    scans, rows = options.data / "scans", []
    with tempfile.TemporaryDirectory(prefix="cerebatch-") as name:
        folder = Path(name)
        mgh = folder / "brain01.mgz"
        nib.save(_as_mgh(scans / "sub-brain01/anat/sub-brain01_T1w.nii.gz"), mgh)
        pair = scans / "sub-pair07/anat"
        dsegs = {}
        for label, arguments in {
            "whole head": [scans / "sub-whole01/anat/sub-whole01_T1w.nii.gz"],
            "brain-extracted": [scans / "sub-brain01/anat/sub-brain01_T1w.nii.gz"],
            "the same as MGH": [mgh],
            "whole head, DICOM": [options.data / "scan-dicom"],
            "the same as NIfTI": [options.data / "scans-unlabelled/sub-whole03/anat/sub-whole03_T1w.nii.gz"],
            "T1w and T2w": [pair / "sub-pair07_T1w.nii.gz", "--t2w", pair / "sub-pair07_T2w.nii.gz"],
        }.items():
            seconds, stages, dsegs[label] = _segment(arguments, folder / label.replace(" ", "-"), options.threads)
            rows.append({"scan": label, "seconds": seconds, "stages_s": stages, "more_s": seconds - stages})
            print(f"{label}: {seconds:.1f} s, stages {stages:.1f} s, {seconds - stages:.1f} s more", flush=True)
        for one, other in (("brain-extracted", "the same as MGH"), ("whole head, DICOM", "the same as NIfTI")):
            print(f"{one} | {other}: mean Dice {_agreement(dsegs[one], dsegs[other]):.4f}")
    write_table(pd.DataFrame(rows), options.out)


def _as_mgh(path: Path) -> nib.MGHImage:
    image = nib.load(path)
    values = np.asanyarray(image.dataobj)
    return nib.MGHImage(values if values.dtype in (np.int16, np.uint8) else values.astype(np.float32), image.affine)


def _segment(arguments: list[object], out: Path, threads: int) -> tuple[float, float, Path]:
    command = [sys.executable, "-P", "-m", "cerebatch", "segment", *map(str, arguments), "--out", str(out)]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--threads", str(threads), "--no-pages"], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    (dseg,) = (path for path in out.glob("sub-*/**/*_dseg.nii.gz") if "_space-" not in path.name)
    return seconds, sum(map(float, _STAGE_S.findall(done.stdout))), dseg


def _agreement(one: Path, other: Path) -> float:
    """Mean Dice of two label maps of one scan, whatever the order of their axes."""
    first, second = (np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj) for path in (one, other))
    if first.shape != second.shape:
        sys.exit(f"{one} and {other}: expected one grid, found {first.shape} and {second.shape}")
    return mean_dice(first, second)


if __name__ == "__main__":
    main()
