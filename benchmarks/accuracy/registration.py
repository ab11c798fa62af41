"""How well whole heads and brain-extracted scans agree on the affine, and what the affine says of the ICV.

    python -m benchmarks.accuracy.registration DATA [--out TABLE.tsv]

DATA holds `heads/*_dseg.nii.gz` and `scans/sub-whole*`. Every label map is rendered with and without its skull, every
whole head stripped, and both are registered.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.brain_extraction import extracted
from benchmarks.common.synthetic_heads import SyntheticHead, synthetic_head
from benchmarks.common.tables import write_table
from cerebatch.io.scan import read_scan
from cerebatch.simulation.phantom import template_case
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import BOX_MM, apply, inverse


def one_head(head: SyntheticHead, name: str) -> dict[str, float | str]:
    """Register one head with and without skull; lengths in mm, volumes in cm3."""
    whole = register_to_template(head.whole, head.grid, seed=1).mni_from_native
    stripped = register_to_template(head.stripped, head.grid, seed=1).mni_from_native
    at_whole, at_stripped = apply(whole, head.cerebellum_mm), apply(stripped, head.cerebellum_mm)
    both = np.concatenate([at_whole, at_stripped])
    low, high = both.min(axis=0), both.max(axis=0)
    return {
        "head": name,
        "icv_cm3": head.icv_cm3,
        "det_whole": float(np.linalg.det(whole[:3, :3])),
        "det_stripped": float(np.linalg.det(stripped[:3, :3])),
        "det_ratio": float(np.linalg.det(whole[:3, :3]) / np.linalg.det(stripped[:3, :3])),
        "rms_mm": float(np.sqrt(np.mean(np.sum((at_whole - at_stripped) ** 2, axis=1)))),
        **{f"{side}_{axis}": float(v[k]) for side, v in (("low", low), ("high", high)) for k, axis in enumerate("xyz")},
    }


def real_head(path: Path) -> SyntheticHead:
    """A real whole head and a stripped copy; the phantom's cerebellum says where to compare, the ICV is unknown."""
    scan = read_scan(path)
    mni_from_native = register_to_template(scan.image, scan.grid, seed=1).mni_from_native
    case, box = template_case(4.0)
    inside = apply(inverse(mni_from_native) @ box.affine, np.argwhere(case > 0).astype(float))
    stripped = extracted(scan.image, scan.grid, mni_from_native)
    return SyntheticHead(scan.image, stripped, scan.grid, inside, float("nan"))


def left_out_errors(icv: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Errors in per cent of ICV = intercept + slope / det, the line fitted on all heads but the one that is told."""
    errors = []
    for k in range(len(icv)):
        others = np.arange(len(icv)) != k
        line = np.polyfit(scale[others], icv[others], 1)
        errors.append(100.0 * (np.polyval(line, scale[k]) / icv[k] - 1.0))
    return np.array(errors)


def main() -> None:
    """Print the table and what follows from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ants_bridge.use_one_thread()
    rows = []
    heads = sorted((arguments.data / "heads").glob("*_dseg.nii.gz"))
    scans = sorted((arguments.data / "scans").glob("sub-whole*/anat/*_T1w.nii.gz"))
    for seed, path in enumerate([*heads, *scans]):
        head = synthetic_head(path, seed) if path in heads else real_head(path)
        rows.append(one_head(head, path.name.split("_")[0]))
        print(", ".join(f"{k} {v:.3f}" if isinstance(v, float) else v for k, v in rows[-1].items()), flush=True)
    table = pd.DataFrame(rows)
    write_table(table, arguments.out)

    print(f"\nratio of determinants, whole over stripped: {table.det_ratio.min():.3f} to {table.det_ratio.max():.3f}")
    print(f"RMS distance in the cerebellum: {table.rms_mm.max():.2f} mm at most, median {table.rms_mm.median():.2f}")
    for k, axis in enumerate("xyz"):
        low, high = table[f"low_{axis}"].min(), table[f"high_{axis}"].max()
        inside = "inside" if BOX_MM[k][0] <= low - 0.5 and high + 0.5 <= BOX_MM[k][1] else "OUTSIDE"
        print(f"cerebellar voxels along {axis}: {low:.1f} to {high:.1f} mm, {inside} the box {BOX_MM[k]}")
    known = table[table.icv_cm3.notna()]
    for kind in ("whole", "stripped"):
        icv, scale = known.icv_cm3.to_numpy(), 1.0 / known[f"det_{kind}"].to_numpy()
        errors = left_out_errors(icv, scale)
        slope, intercept = np.polyfit(scale, icv, 1)
        print(
            f"ICV from {kind} heads, one head left out: error {errors.mean():+.2f}%, SD {errors.std(ddof=1):.2f}%, "
            f"largest {np.abs(errors).max():.1f}%; all heads: {intercept:.0f} + {slope:.0f} / det cm3, "
            f"correlation {np.corrcoef(icv, scale)[0, 1]:.2f}"
        )


if __name__ == "__main__":
    main()
