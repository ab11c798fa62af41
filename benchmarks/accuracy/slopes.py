"""Does a method follow a region that became smaller? Real scans with another tool's regions, simulated ones with truth.

    python -m benchmarks.accuracy.slopes PREPARED DATA --weights FOLDER --out TABLE.tsv
    python -m benchmarks.accuracy.slopes PREPARED DATA --weights FOLDER --simulated BIDS --out TABLE.tsv

Regions of bert and testy (PREPARED as in `real_weights`) are those of DATA/scans-labelled: CerebNet's, merged as in
`cerebatch evaluate --protocol cerebnet`. With --simulated BIDS the scans are those that `known_scans` wrote there, and
their regions the lobules of their own truth; they are prepared into PREPARED where they are not yet. One region at a
time is made smaller by a field that no training draws (`benchmarks.common.shrinking`), the scan is labelled again,
and the slope of measured over true change, and the leakage into the regions that touch it, are printed. A region that
is too thin to be made so small without folds is named and left out. A labelled scan a region and share: with
--regions N the N largest of each scan alone.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy.real_labels import LABELLED
from benchmarks.accuracy.real_weights import Scan, cerebnet_path, there
from benchmarks.common.shrinking import Row, compare, shrink, slope
from benchmarks.common.tables import write_table
from cerebatch.evaluation.protocols import Protocol
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.networks.ensemble import Ensemble, load
from cerebatch.simulation.scenes.known_scans import TRUTH
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import prepare

_LEAST_VOXELS = 800


@dataclass(frozen=True)
class Regions:
    """Whose regions are made smaller.

    Attributes
    ----------
    scan : Scan
    regions : (X, Y, Z) uint8
    names : dict
        Number of a region -> its name.
    protocol : Protocol or None
        That brings our labels to these numbers; None: they are our codes.
    """

    scan: Scan
    regions: LabelMap
    names: dict[int, str]
    protocol: Protocol | None

    def counts(self, dseg: LabelMap) -> NDArray[np.float64]:
        """Voxels of each region in our labels."""
        ours = dseg if self.protocol is None else self.protocol.merge_ours(dseg)
        return np.bincount(ours.ravel(), minlength=256).astype(np.float64)


def main() -> None:
    """Shrink, label and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument(
        "--simulated", type=Path, help="folder of prepared scans with truth.nii.gz, instead of real ones"
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.85], help="volumes that a region keeps")
    parser.add_argument("--regions", type=int, help="the largest so many of each scan")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--no-mirror", action="store_true", help="half the time; the figures of one view")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    networks = load(options.weights)
    if options.simulated is None:
        scans = [of_cerebnet(scan, options.data) for scan in there(options.prepared, LABELLED)]
    else:
        scans = [of_truth(path, options) for path in sorted(options.simulated.glob("sub-*/anat/*_T1w.nii.gz"))]
    if not scans:
        raise SystemExit("No scan is prepared: see `python -m benchmarks.accuracy.slopes --help`.")
    table = pd.DataFrame(row for scan in scans for row in rows(scan, networks, options))
    if table.empty:
        raise SystemExit("No region could be made that small: give larger --shares.")
    tell(table)
    write_table(table, options.out)


def of_cerebnet(scan: Scan, data: Path) -> Regions:
    """Cortex of CerebNet, merged."""
    truth = scan.truth(cerebnet_path(scan.name, data), "cerebnet")
    names = {region.number: region.name for region in truth.protocol.of_kind("cortex")}
    return Regions(scan, truth.other, names, truth.protocol)


def of_truth(t1w: Path, options: argparse.Namespace) -> Regions:
    """Every lobule of a simulated scan's truth."""
    name = t1w.name.removesuffix("_T1w.nii.gz")
    folder = options.prepared / name
    if not (folder / "prepared.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepare(t1w, folder)
    scan = Scan(name, folder)
    truth, grid = read_dseg(options.simulated / TRUTH / name / "anat" / f"{name}_seg-lobules_dseg.nii.gz")
    boxed = resample_labels(truth, grid, cerebellum_box(1.0), inverse(scan.prepared.affine))
    names = {label.index: label.name for label in LABELS if label.structure != "White matter"}
    return Regions(scan, boxed, names, None)


def rows(scan: Regions, networks: Ensemble, options: argparse.Namespace) -> list[dict[str, object]]:
    """A row a region and share."""

    def counted(t1w: Volume) -> NDArray[np.float64]:
        return scan.counts(networks.segment(t1w, precision=options.precision, mirror=not options.no_mirror).dseg)

    sizes = np.bincount(scan.regions.ravel(), minlength=256)
    codes = sorted((code for code in scan.names if sizes[code] >= _LEAST_VOXELS), key=lambda code: -sizes[code])
    before = counted(scan.scan.t1w)
    found: list[dict[str, object]] = []
    for code in codes[: options.regions]:
        for share in options.shares:
            began = time.perf_counter()
            shrunk = shrink(scan.scan.t1w, scan.regions, code, share, 1.0)
            row = None if shrunk is None else compare(shrunk, scan.regions, code, before, counted(shrunk.t1w))
            name = scan.names[code]
            if row is None:
                print(f"{scan.scan.name} {name}: cannot be made {share:g} of its size, or was not found", flush=True)
                continue
            took = time.perf_counter() - began
            print(f"{scan.scan.name} {name}: {row.true:+.3f}, measured {row.measured:+.3f} ({took:.0f} s)", flush=True)
            found.append(
                {
                    "scan": scan.scan.name,
                    "region": name,
                    "share": share,
                    "true": row.true,
                    "measured": row.measured,
                    "leakage": row.leakage,
                }
            )
    return found


def tell(table: pd.DataFrame) -> None:
    """Slopes and leakages of each scan, and of all."""
    for name, part in (*table.groupby("scan"), ("all", table)):
        of = [Row(*values) for values in part[["true", "measured", "leakage"]].to_numpy().tolist()]
        print(f"{name}: slope {slope(of):.2f}, leakage {part['leakage'].mean():.2f}, of {len(of)} regions made smaller")


if __name__ == "__main__":
    main()
