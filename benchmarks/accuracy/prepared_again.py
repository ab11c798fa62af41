"""Scans prepared by this code beside what other code made of them: affine, image, ICV, seconds and memory a step.

    python -m benchmarks.accuracy.prepared_again OTHER THIS SCAN ... [--out TABLE.tsv]

A scan that THIS does not hold is prepared into it, in a process of its own. OTHER is a folder that this program, run
with the other code, or any run of `cerebatch.stages.prepare` left: a folder a scan, named as its file begins.
Distances are RMS over the cerebellum in MNI millimetres; the correlation of the images is that of the brain in the box.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.tables import write_table
from cerebatch.io.files import read_voxels
from cerebatch.simulation.phantom import template_case
from cerebatch.spatial import template
from cerebatch.spatial.space import Affine, apply, cerebellum_box, inverse, resample
from cerebatch.stages.prepare import Prepared

_PREPARE = """
import dataclasses, json, pathlib, sys, time
from cerebatch.stages.prepare import prepare
folder = pathlib.Path(sys.argv[2])
began = time.process_time()
steps = [dataclasses.asdict(step) for step in prepare(pathlib.Path(sys.argv[1]), folder)]
(folder / "steps.json").write_text(json.dumps({"cpu_seconds": time.process_time() - began, "steps": steps}))
"""


def prepared(scan: Path, folder: Path) -> Path:
    """Folder of a scan, prepared now if it was not yet."""
    place = folder / name_of(scan)
    if not (place / "prepared.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", _PREPARE, str(scan), str(place)], check=True)
    return place


def name_of(scan: Path) -> str:
    """What a file name begins with."""
    return re.sub(r"_?(T1w|T1W|acq)?\.nii.*", "", scan.name)


def found_in(folder: Path, name: str) -> Path | None:
    """Folder of a scan, with ``sub-`` or without, the first session named or not."""
    names = (name, name.removeprefix("sub-"), name.removesuffix("_ses-1"))
    return next((folder / one for one in names if (folder / one / "prepared.json").exists()), None)


def apart_mm(one: Affine, other: Affine) -> float:
    """RMS distance of two affines native -> MNI in the template's cerebellum, in MNI millimetres."""
    case, box = template_case(4.0)
    points = apply(box.affine, np.argwhere(case > 0).astype(float))
    off = apply(other @ inverse(one), points) - points
    return float(np.sqrt((off**2).sum(axis=1).mean()))


def compared(this: Path, other: Path) -> dict[str, float]:
    """How far two ways to prepare a scan are apart."""
    now, then = Prepared.read(this), Prepared.read(other)
    brain, grid = template.brain_mask(2), template.t1w(2)[1]
    inside = resample(brain.astype(np.float32), grid, cerebellum_box(1.0), np.eye(4), order=1) > 0.5
    images = [read_voxels(folder / "T1w.nii.gz")[inside] for folder in (this, other)]
    scale = np.linalg.det(now.affine[:3, :3]) / np.linalg.det(then.affine[:3, :3])
    return {
        "apart, mm": apart_mm(now.affine, then.affine),
        "volume, %": 100 * (1 / float(scale) - 1),
        "correlation": float(np.corrcoef(images[0], images[1])[0, 1]),
        "local correlation": now.local_correlation,
        "of the other": then.local_correlation,
    }


def taken(folder: Path) -> dict[str, float]:
    """Seconds and largest memory; nothing where the steps were not kept."""
    if not (folder / "steps.json").exists():
        return {}
    log = json.loads((folder / "steps.json").read_text())
    return {
        "CPU s": log["cpu_seconds"],
        "MB": max(step["peak_mb"] or np.nan for step in log["steps"]),
        **{step["name"]: step["seconds"] for step in log["steps"]},
        **{f"{step['name']}, MB": step["peak_mb"] for step in log["steps"]},
    }


def main() -> None:
    """Prepare what is missing, print a row a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("this", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for scan in options.scans:
        this = prepared(scan, options.this)
        other = found_in(options.other, name_of(scan))
        rows.append({"scan": name_of(scan), **(compared(this, other) if other else {}), **taken(this)})
        print({key: round(one, 3) if isinstance(one, float) else one for key, one in rows[-1].items()}, flush=True)
    write_table(pd.DataFrame(rows), options.out)


if __name__ == "__main__":
    main()
