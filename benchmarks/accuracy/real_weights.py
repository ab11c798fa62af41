"""What a folder of weights is worth on real scans: prepared scans are labelled in the box and scored, nothing else.

    python -m benchmarks.accuracy.real_weights PREPARED DATA --weights FOLDER --out TABLE.tsv
    python -m benchmarks.accuracy.real_weights PREPARED DATA --atlas --library LIB.zarr --composed
    python -m benchmarks.accuracy.real_weights PREPARED DATA --labels FOLDER --out TABLE.tsv --beside OLD.tsv

PREPARED holds a folder a scan as `cerebatch.stages.prepare` writes it: ``bert`` and ``testy`` (DATA/scans-labelled),
``sub-1125`` (DATA/scans-outlined), its second scan ``sub-1125_ses-2``, ``sub-brain01`` or ``sub-whole01`` (DATA/scans).
What is not prepared is named and left out. Seconds a scan for one network pair, T1w alone; minutes more with --library.
With --labels FOLDER no network runs: FOLDER/NAME/dseg.nii.gz (cerebatch codes in the box) is scored, such as --keep
FOLDER left it, or as another version's `segment_by_networks` wrote it. Printed are, a line a scan and the means,

    labelled   bert and testy against CerebNet: mean Dice of ten merged regions a side, names beside it, the region
               Dice with the white matter of the folia given to its lobule, and what a map of our convention could
               reach that errs in nothing (ceiling); the whole, its volume ratio, what is missed; lobules and white
               matter further than 3 mm outside CerebNet's labels
    outlined   the validation people against manual outlines (`cerebatch.evaluation.outlines`)
    rescans    coefficient of variation over two scans of a person, of lobules, of the whole, of the manual whole
    whole      heads with scalp: cm3 labelled further than 3 mm outside a brain extraction by threshold and morphology,
               and the same of CerebNet's labels, for the extraction errs
    adults     grey matter without and with the white matter of the folia, beside DeepCERES and CERES on other adults

Scores are written, never labels of people but where --keep asks for them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from benchmarks.accuracy.real_labels import ADULTS, LABELLED, VALIDATION, long_of, manual_path, shown, variation
from benchmarks.common.brain_extraction import extracted
from benchmarks.common.ceiling import as_shown
from benchmarks.common.in_box import BoxTruth, read_box_truth, score_in_box
from benchmarks.common.published import as_published
from benchmarks.common.tables import write_table
from benchmarks.common.tissue_volumes import tissue_volumes_cm3
from cerebatch.atlas.subject_atlas import CASES
from cerebatch.evaluation.agreement import agreement
from cerebatch.evaluation.outlines import SPILL_MM
from cerebatch.evaluation.protocols import read_protocol
from cerebatch.io.files import write_image
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS, N_CLASSES
from cerebatch.measures.folia import with_folia
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box
from cerebatch.stages.prepare import Prepared

WHOLE_HEADS = (*LABELLED, "sub-whole03", "sub-whole01")
_BOX = cerebellum_box(1.0)

Labeller = Callable[["Scan"], LabelMap]


@dataclass(frozen=True)
class Scan:
    """A prepared scan.

    Attributes
    ----------
    name : str
        ``sub-X`` or ``sub-X_ses-Y``.
    folder : Path
    """

    name: str
    folder: Path

    @cached_property
    def prepared(self) -> Prepared:
        """What `prepare` found out."""
        return Prepared.read(self.folder)

    @cached_property
    def t1w(self) -> Volume:
        """In the box."""
        return read_voxels(self.folder / "T1w.nii.gz")

    @property
    def voxel_mm3(self) -> float:
        """What a voxel of the box stands for in the head."""
        return _BOX.voxel_volume_mm3 / float(np.linalg.det(self.prepared.affine[:3, :3]))

    def truth(self, path: Path, protocol: str) -> BoxTruth:
        """Another map of this scan, in the box."""
        stored = self.prepared.stored_grid
        _, grid = read_protocol(protocol).read(path)
        # `prepare` keeps the grid of the file; a map of another session of the person would have another one.
        if grid.shape != stored.shape or not np.allclose(grid.affine, stored.affine, atol=1e-2):
            raise SystemExit(f"{path}: expected the grid of the scan that {self.folder} was made from, found another.")
        return read_box_truth(path, protocol, self.t1w, self.prepared.affine)


def main() -> None:
    """Label, score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("data", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--weights", type=Path, help="folder of weights")
    what.add_argument("--labels", type=Path, help="folder of NAME/dseg.nii.gz, instead of weights")
    what.add_argument("--atlas", action="store_true", help="the atlas of --library alone, instead of weights")
    parser.add_argument("--library", type=Path, help="make an atlas of this library for each scan")
    parser.add_argument("--cases", type=int, default=CASES, help="that vote for the atlas")
    parser.add_argument("--composed", action="store_true", help="register once, to the library's mean")
    parser.add_argument("--keep", type=Path, help="where to leave the labels that the weights gave")
    parser.add_argument("--only", nargs="+", choices=("labelled", "outlined", "rescans", "whole", "adults"))
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--beside", type=Path, help="table of an earlier call")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.atlas and options.library is None:
        parser.error("--atlas: expected --library")
    labels = by_networks_or_atlas(options) if options.labels is None else kept(options.labels)
    found: dict[str, LabelMap] = {}

    def labelled_once(scan: Scan) -> LabelMap:
        if scan.name not in found:
            found[scan.name] = labels(scan)
        return found[scan.name]

    tables = pd.concat(
        [long_of(name, table) for name, table in scored(options, labelled_once).items()],
        ignore_index=True,
    )
    before = None if options.beside is None else pd.read_csv(options.beside, sep="\t")
    for name in tables["table"].unique():
        wide = tables[tables["table"] == name].pivot(index="scan", columns="figure", values="value")
        order = tables[tables["table"] == name]["figure"].unique()
        shown(name, wide[order].reset_index(), before)
    write_table(tables, options.out)


def scored(options: argparse.Namespace, labels: Labeller) -> dict[str, pd.DataFrame]:
    """Tables of the groups of which a scan is prepared."""
    data, only = options.data, options.only

    def of(names: tuple[str, ...]) -> list[Scan]:
        return there(options.prepared, names, options.labels)

    def visits() -> list[Scan]:
        return of(
            tuple(name for person in VALIDATION for name in (person, f"{person}_ses-2") if has(person, name, data))
        )

    groups: dict[str, Callable[[], list[dict[str, object]]]] = {
        "labelled": lambda: [against_cerebnet(scan, labels(scan), data) for scan in of(LABELLED)],
        "outlined": lambda: [against_hands(scan, labels(scan), data) for scan in visits()],
        "rescans": lambda: rescans(visits(), labels, data),
        "whole": lambda: [spill(scan, labels(scan), data) for scan in of(WHOLE_HEADS)],
        "adults": lambda: [grey(scan, labels(scan)) for scan in of(ADULTS)],
    }
    tables = {}
    for name, rows in groups.items():
        if only is None or name in only:
            print(f"{name}:", flush=True)
            table = pd.DataFrame(rows())
            if len(table):
                tables[name] = table
            else:
                print("  nothing of it is there, and nothing is scored")
    if not tables:
        raise SystemExit(
            f"{options.prepared}: expected folders that `cerebatch.stages.prepare` wrote, found none to score."
        )
    return tables


def there(prepared: Path, names: tuple[str, ...], labels: Path | None = None) -> list[Scan]:
    """Scans of these names that are prepared, with ``sub-`` or without; the others are named.

    With `labels`, those that have labels in that folder.
    """
    scans = []
    for name in names:
        folder = found_in(prepared, name, "prepared.json")
        if folder is None:
            print(f"  {name}: not prepared, left out")
        elif labels is not None and found_in(labels, name, "dseg.nii.gz") is None:
            print(f"  {name}: no dseg.nii.gz in {labels}, left out")
        else:
            scans.append(Scan(name, folder))
    return scans


def found_in(folder: Path, name: str, file: str) -> Path | None:
    """Folder of a scan that holds a file."""
    ways = [folder / name, folder / name.removeprefix("sub-")]
    whole = [way for way in ways if (way / file).exists()]
    return whole[0] if whole else None


def kept(folder: Path) -> Labeller:
    """Labels of a folder."""

    def read(scan: Scan) -> LabelMap:
        path = (found_in(folder, scan.name, "dseg.nii.gz") or folder / scan.name) / "dseg.nii.gz"
        dseg, grid = read_dseg(path)
        if grid.shape != _BOX.shape or not np.allclose(grid.affine, _BOX.affine, atol=1e-3):
            raise SystemExit(f"{path}: expected a map on the cerebellum box of 1 mm, found another grid.")
        return dseg

    return read


def by_networks_or_atlas(options: argparse.Namespace) -> Labeller:
    """Labels of the networks of a folder, T1w alone or with an atlas; or those of the atlas."""
    import torch

    from cerebatch.atlas.subject_atlas import make_atlas
    from cerebatch.library.store import open_library
    from cerebatch.networks.ensemble import load

    torch.set_num_threads(options.threads)
    networks = None if options.atlas else load(options.weights)
    cases = None if options.library is None else open_library(options.library)

    def labelled(scan: Scan) -> LabelMap:
        began = time.perf_counter()
        atlas = None
        if cases is not None:
            how = {"count": options.cases, "composed": options.composed, "threads": options.threads}
            atlas = make_atlas(scan.t1w, cases, **how).dseg
        if networks is not None:
            dseg = networks.segment(scan.t1w, None, atlas, precision=options.precision).dseg
        else:
            assert atlas is not None
            dseg = atlas
        if options.keep is not None:
            (options.keep / scan.name).mkdir(parents=True, exist_ok=True)
            write_image(options.keep / scan.name / "dseg.nii.gz", dseg, _BOX, "MNI")
        print(f"{scan.name}: labelled in {time.perf_counter() - began:.0f} s", flush=True)
        return dseg

    return labelled


def against_cerebnet(scan: Scan, dseg: LabelMap, data: Path) -> dict[str, object]:
    """Figures against CerebNet."""
    truth = scan.truth(cerebnet_path(scan.name, data), "cerebnet")
    ceiling = agreement(as_shown(truth.other, scan.t1w, truth.protocol), truth.other, truth.protocol)
    folded = agreement(with_folia(dseg, _BOX), truth.other, truth.protocol)
    figures = score_in_box(dseg, truth)
    more = {"regions_folia": folded.region_dice, "ceiling": ceiling.region_dice}
    return {"scan": scan.name, **figures, **more}


def against_hands(scan: Scan, dseg: LabelMap, data: Path) -> dict[str, object]:
    """Figures against the manual outline."""
    path = manual_path(in_data(scan.name, data), data)
    return {"scan": scan.name, **score_in_box(dseg, scan.truth(path, "manual-outline"))}


def rescans(scans: list[Scan], labels: Labeller, data: Path) -> list[dict[str, object]]:
    """Coefficient of variation in % over the two scans of a person: ours by lobule and whole, and the manual whole."""
    rows: list[dict[str, object]] = []
    protocol = read_protocol("manual-outline")
    second = [scan for scan in scans if scan.name.endswith("_ses-2")]
    for person in (scan.name.removesuffix("_ses-2") for scan in second):
        pair = [scan for scan in scans if scan.name in (person, f"{person}_ses-2")]
        if len(pair) < 2:
            continue
        volumes = pd.DataFrame([volumes_cm3(scan, labels(scan)) for scan in pair])
        manual = []
        for scan in pair:
            merged, grid = protocol.read(manual_path(in_data(scan.name, data), data))
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


def spill(scan: Scan, dseg: LabelMap, data: Path) -> dict[str, object]:
    """Labels further than `SPILL_MM` outside the brain, cm3 in the head; CerebNet's on the same scan beside them.

    The extraction errs, too: it cut up to 11 cm3 of CerebNet's cerebellum away.
    """
    brain = extracted(scan.t1w, _BOX, np.eye(4)) > 0
    beyond = ndimage.distance_transform_edt(~brain) > SPILL_MM
    cm3 = scan.voxel_mm3 / 1000
    path = cerebnet_path(scan.name, data)
    theirs = scan.truth(path, "cerebnet").other > 0 if path.exists() else None
    return {
        "scan": scan.name,
        "spill_cm3": float(((dseg > 0) & beyond).sum() * cm3),
        "spill_cerebnet_cm3": np.nan if theirs is None else float((theirs & beyond).sum() * cm3),
        "volume_cm3": float((dseg > 0).sum() * cm3),
    }


def grey(scan: Scan, dseg: LabelMap) -> dict[str, object]:
    """Volumes of `tissue_volumes_cm3`."""
    return {"scan": scan.name, **tissue_volumes_cm3(dseg, _BOX, scan.voxel_mm3)}


def volumes_cm3(scan: Scan, dseg: LabelMap) -> dict[str, float]:
    """Of the 26 structures, in the head."""
    counts = np.bincount(dseg.ravel(), minlength=N_CLASSES) * scan.voxel_mm3 / 1000
    return {label.name: float(counts[label.index]) for label in LABELS}


def cerebnet_path(name: str, data: Path) -> Path:
    """CerebNet's labels of a scan; there are none of most."""
    return data / "scans-labelled" / f"{name}_desc-cerebnet_dseg.nii.gz"


def in_data(name: str, data: Path) -> str:
    """``sub-X`` and ``sub-X_ses-2`` as the first and second scan are called in DATA/scans-outlined."""
    person, _, session = name.partition("_ses-")
    return scans_of(person, data)[int(session or 1) - 1]


def has(person: str, name: str, data: Path) -> bool:
    """Whether a person was scanned as often as a name says."""
    return name == person or len(scans_of(person, data)) > 1


def scans_of(person: str, data: Path) -> list[str]:
    """Names of a person's scans in DATA/scans-outlined."""
    files = sorted((data / "scans-outlined" / person).rglob("*_T1w.nii.gz"))
    return [path.name.removesuffix("_T1w.nii.gz") for path in files]


if __name__ == "__main__":
    main()
