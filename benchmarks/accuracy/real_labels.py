"""Finished outputs of real scans against what is known of them: another tool's labels, manual outlines, rescans.

    python -m benchmarks.accuracy.real_labels DATA --labelled RUN --outlined RUN --adults RUN --out TABLE.tsv

Each RUN is an output folder of `cerebatch run`: of the scans of DATA/scans-labelled (in BIDS), of DATA/scans-outlined
and of DATA/scans. Seconds a scan; nothing is segmented here. Printed are, a line a scan and the means,

    labelled   bert and testy against CerebNet (`cerebatch evaluate --protocol cerebnet`): mean Dice of ten merged
               regions a side, names beside it, the same with the white matter of the folia given to its lobule
               (`folia.with_folia`), what a map of our convention could reach that errs in nothing
               (`common.ceiling`), volume of the whole, and spill: cm3 of lobules, and of white matter, that
               we label further than --spill-mm outside all of CerebNet's labels
    outlined   the validation people against manual outlines: the whole, with and without dark voxels inside the
               manual outline; white matter as it stands and opened; vermis groups rightly named
    rescans    three people scanned twice: difference between the scans as coefficient of variation
    adults     grey matter without and with the white matter of the folia, beside DeepCERES and CERES on other adults

With --beside OLD.tsv (an earlier --out) the means of that table are printed beside these.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from benchmarks.common.ceiling import as_shown
from benchmarks.common.published import as_published
from benchmarks.common.tables import write_table
from benchmarks.common.tissue_volumes import tissue_volumes_cm3
from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.outlines import SPILL_MM, outline_figures, spill_cm3
from cerebatch.evaluation.protocols import Protocol, read_protocol
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.measures.folia import CORE_OPENING_MM, with_folia
from cerebatch.spatial.space import Affine, Grid, LabelMap, Volume, cerebellum_box, resample

LABELLED = ("sub-bert", "sub-testy")
VALIDATION = ("sub-1001", "sub-1004", "sub-1018", "sub-1019", "sub-1119", "sub-1125")
ADULTS = ("sub-brain01", "sub-brain02", "sub-brain05", "sub-brain09", "sub-brain12", "sub-brain16", "sub-brain22",
          "sub-brain30")  # fmt: skip
GREY_CM3 = {"grey matter": 80.0, "with folia": 107.5}
"""Mean of DeepCERES, and of CERES, on 28 adults of HNU."""

_MARGIN = 8


@dataclass(frozen=True)
class Finished:
    """What a run left of one scan.

    Attributes
    ----------
    name : str
        ``sub-X`` or ``sub-X_ses-Y``.
    anat : Path
    """

    name: str
    anat: Path

    @property
    def native(self) -> tuple[LabelMap, Grid]:
        """Labels on the scan's grid."""
        return read_dseg(self.anat / f"{self.name}_seg-lobules_dseg.nii.gz")

    @property
    def in_box(self) -> tuple[LabelMap, Grid]:
        """Labels in the cerebellum box."""
        (path,) = self.anat.glob(f"{self.name}_space-*_seg-lobules_res-*_dseg.nii.gz")
        return read_dseg(path)

    @property
    def mni_from_native(self) -> Affine:
        """What `prepare` found."""
        sidecar = json.loads((self.anat / f"{self.name}_seg-lobules_dseg.json").read_text())
        return np.array(sidecar["AffineNativeToMNI"])

    @property
    def voxel_mm3(self) -> float:
        """What a voxel of the box stands for in the head."""
        return self.in_box[1].voxel_volume_mm3 / float(np.linalg.det(self.mni_from_native[:3, :3]))

    def t1w_on(self, grid: Grid) -> Volume:
        """Prepared T1w on a native grid; 0 outside the box."""
        (path,) = self.anat.glob(f"{self.name}_space-*_desc-preproc_T1w.nii.gz")
        image = read_voxels(path)
        box = cerebellum_box(144.0 / image.shape[0])
        return resample(image, box, grid, self.mni_from_native, order=1)

    def volumes_cm3(self) -> dict[str, float]:
        """Of the 26 structures, in the head."""
        table = pd.read_csv(self.anat / f"{self.name}_seg-lobules_volumes.tsv", sep="\t")
        by = table.set_index(["structure", "side"])["volume_cm3"]
        return {label.name: float(by[label.structure, label.side]) for label in LABELS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--labelled", type=Path, help="run of bert and testy")
    parser.add_argument("--outlined", type=Path, help="run of the validation people")
    parser.add_argument("--adults", type=Path, help="run of the eight adults")
    parser.add_argument("--spill-mm", type=float, default=SPILL_MM)
    parser.add_argument("--opening-mm", type=float, default=CORE_OPENING_MM, help="of the white matter (folia.py)")
    parser.add_argument("--beside", type=Path, help="table of an earlier call")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tables: dict[str, pd.DataFrame] = {}
    if options.labelled is not None:
        scans = finished(options.labelled, LABELLED)
        tables["labelled"] = pd.DataFrame([labelled(scan, options) for scan in scans])
    if options.outlined is not None:
        scans = finished(options.outlined, VALIDATION)
        tables["outlined"] = pd.DataFrame([outlined(scan, options) for scan in scans])
        tables["rescans"] = pd.DataFrame(rescans(scans, options.data))
    if options.adults is not None:
        tables["adults"] = pd.DataFrame([grey(scan, options) for scan in finished(options.adults, ADULTS)])
    long = pd.concat([long_of(what, table) for what, table in tables.items() if len(table)], ignore_index=True)
    before = None if options.beside is None else pd.read_csv(options.beside, sep="\t")
    for what, table in tables.items():
        if len(table):
            shown(what, table, before)
    write_table(long, options.out)


def finished(run: Path, people: tuple[str, ...]) -> list[Finished]:
    """Scans of these people that a run finished, in order; those that it did not are named."""
    found = []
    for person in people:
        paths = sorted((run / person).glob("**/anat/*_seg-lobules_dseg.nii.gz"))
        native = [path for path in paths if "_space-" not in path.name and "_desc-" not in path.name]
        if not native:
            print(f"{person}: no finished labels in {run}")
        found += [Finished(path.name.removesuffix("_seg-lobules_dseg.nii.gz"), path.parent) for path in native]
    return found


def labelled(scan: Finished, options: argparse.Namespace) -> dict[str, object]:
    """Figures against CerebNet."""
    protocol = read_protocol("cerebnet")
    path = options.data / "scans-labelled" / f"{scan.name}_desc-cerebnet_dseg.nii.gz"
    dseg, other, grid = on_one_grid(scan, path, protocol)
    found = agreement(dseg, other, protocol)
    folded = agreement(with_folia(dseg, grid, options.opening_mm), other, protocol)
    shown = as_shown(other, scan.t1w_on(grid), protocol)
    spilt, peduncle = spill_cm3(dseg, other > 0, grid, options.spill_mm)
    white = [found.dice[f"{side} white matter"] for side in ("left", "right")]
    return {
        "scan": scan.name,
        "regions": found.region_dice,
        "names": found.names,
        "common": found.common_dice,
        "regions+folia": folded.region_dice,
        "names+folia": folded.names,
        "ceiling": agreement(shown, other, protocol).region_dice,
        "ceiling+folia": agreement(with_folia(shown, grid, options.opening_mm), other, protocol).region_dice,
        "vermis": found.groups,
        "white": float(np.mean(white)),
        "whole": found.whole,
        "volume": found.volume_ratio,
        "spill": spilt,
        "spill_white": peduncle,
    }


def outlined(scan: Finished, options: argparse.Namespace) -> dict[str, object]:
    """Figures against the manual outline."""
    protocol = read_protocol("manual-outline")
    dseg, manual, grid = on_one_grid(scan, manual_path(scan.name, options.data), protocol)
    figures = outline_figures(dseg, manual, scan.t1w_on(grid), grid, protocol, opening_mm=options.opening_mm)
    return {"scan": scan.name} | asdict(figures)


def rescans(scans: list[Finished], data: Path) -> list[dict[str, object]]:
    """Coefficient of variation in % over the two scans of a person: ours by lobule and whole, and the manual whole."""
    protocol = read_protocol("manual-outline")
    rows: list[dict[str, object]] = []
    for person in sorted({scan.name.split("_ses-")[0] for scan in scans if "_ses-" in scan.name}):
        pair = [scan for scan in scans if scan.name.startswith(f"{person}_ses-")]
        if len(pair) != 2:
            continue
        volumes = pd.DataFrame([scan.volumes_cm3() for scan in pair])
        manual = []
        for scan in pair:
            merged, grid = protocol.read(manual_path(scan.name, data))
            manual.append(float((merged > 0).sum() * grid.voxel_volume_mm3 / 1000))
        by_lobule = variation(as_published(volumes))
        rows.append(
            {
                "scan": person,
                "lobules_CV": float(by_lobule.mean()),
                "largest_CV": float(by_lobule.max()),
                "whole_CV": float(variation(volumes.sum(axis=1).to_frame()).iloc[0]),
                "manual_whole_CV": float(variation(pd.DataFrame({"manual": manual})).iloc[0]),
            }
        )
    return rows


def variation(volumes: pd.DataFrame) -> pd.Series[float]:
    """Coefficient of variation over rows (n - 1), %."""
    return 100 * volumes.std() / volumes.mean()


def grey(scan: Finished, options: argparse.Namespace) -> dict[str, object]:
    """Volumes of `tissue_volumes_cm3`."""
    dseg, box = scan.in_box
    return {"scan": scan.name, **tissue_volumes_cm3(dseg, box, scan.voxel_mm3, options.opening_mm)}


def on_one_grid(scan: Finished, path: Path, protocol: Protocol) -> tuple[LabelMap, LabelMap, Grid]:
    """Our labels and the other's regions in the block of the scan's grid that holds both."""
    dseg, grid = scan.native
    other, other_grid = protocol.read(path)
    if dseg.shape != other.shape or not np.allclose(grid.affine, other_grid.affine, atol=1e-3):
        raise SystemExit(f"{path}: expected the grid of {scan.name}'s labels, found another. Give the native dseg.")
    held = ndimage.find_objects(((dseg > 0) | (other > 0)).astype(np.uint8))[0]
    x, y, z = (
        slice(max(part.start - _MARGIN, 0), min(part.stop + _MARGIN, size))
        for part, size in zip(held, dseg.shape, strict=True)
    )
    block = (x, y, z)
    return dseg[block], other[block], grid.block(block)


def manual_path(name: str, data: Path) -> Path:
    """Manual labels of a scan."""
    folder = data / "scans-outlined/derivatives/manual" / name.replace("_ses-", "/ses-") / "anat"
    return folder / f"{name}_desc-manual_dseg.nii.gz"


def long_of(what: str, table: pd.DataFrame) -> pd.DataFrame:
    """A row a scan and figure."""
    return table.melt(id_vars="scan", var_name="figure", value_name="value").assign(table=what)[
        ["table", "scan", "figure", "value"]
    ]


def shown(what: str, table: pd.DataFrame, before: pd.DataFrame | None) -> None:
    """Print a table with its means, and those of an earlier one."""
    numbers = table.set_index("scan")
    means = {"mean": numbers.mean(), "SD": numbers.std()}
    if what == "adults":
        means["elsewhere"] = pd.Series(GREY_CM3)
    if before is not None:
        means["mean before"] = before[before["table"] == what].groupby("figure")["value"].mean()
    print(f"\n{what}")
    print(pd.concat([numbers, pd.DataFrame(means).T[numbers.columns]]).round(3).to_string(na_rep=""))


if __name__ == "__main__":
    main()
