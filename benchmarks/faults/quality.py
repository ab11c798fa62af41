"""Whether quality control finds faults: faults put into finished outputs, and into scans that are then run.

    python -m benchmarks.faults.quality limits OUT_DIR --scans BIDS [BIDS ...]
    python -m benchmarks.faults.quality outputs OUT_DIR --scans BIDS [BIDS ...] --each 20 --out TABLE.tsv
    python -m benchmarks.faults.quality scans PHANTOMS WORK --labelled-case CASE --each 20 --out TABLE.tsv

Cases in the order of their names: the first, third, ... are the selection half, the others the test half. `limits`
prints the extreme of the selection half and what the rules of `docs/quality.md` make of it: as far again from the
median, twice as far, and for shares a third below or a half above. `outputs` damages the test half of finished cases
and judges them as `measure` does. `scans` damages phantoms of the test half, runs them at 4 mm, and reads their
ratings. A fault is caught if a warning or problem of one of the flags that it should raise is there that the
undamaged case has not; "rated worse" counts ratings below the undamaged one's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from benchmarks.common.tables import write_table
from cerebatch.batch.reporting.completed import finished_cases
from cerebatch.figures.slices import Images
from cerebatch.io.scan import read_scan
from cerebatch.labels import LABELS, mirrored
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.metrics import all_metrics
from cerebatch.quality.rating import Flag, raised, rate, rules
from cerebatch.report.result import read_result
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.space import LabelMap

Rng = np.random.Generator
Damage = Callable[[QualityInputs, Rng, list[QualityInputs]], QualityInputs]

LOBULES = [label.index for label in LABELS if label.structure not in ("I-II", "White matter")]


def main() -> None:
    """One of the three tasks."""
    ants_bridge.use_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(required=True)
    for name, task in (("limits", limits), ("outputs", outputs)):
        one = tasks.add_parser(name)
        one.add_argument("folder", type=Path)
        one.add_argument("--scans", type=Path, nargs="+", required=True)
        one.add_argument("--each", type=int, default=20)
        one.add_argument("--out", type=Path)
        one.set_defaults(task=task)
    one = tasks.add_parser("scans")
    one.add_argument("folder", type=Path)
    one.add_argument("work", type=Path)
    one.add_argument("--labelled-case", type=Path, required=True)
    one.add_argument("--each", type=int, default=20)
    one.add_argument("--out", type=Path)
    one.set_defaults(task=scans)
    options = parser.parse_args()
    options.task(options)


def limits(options: argparse.Namespace) -> None:
    """Print the rule's limits of the selection half beside those of the table."""
    found = [
        {"metric": m.name, "structure": m.structure, "value": m.value}
        for case in materials(options.folder, options.scans)[::2]
        for m in all_metrics(case)
    ]
    values = pd.DataFrame(found).dropna()
    print("flag\tmetric\tstructure\tcomparison\textreme\tas far again\ttwice as far\ta third or a half beyond\ttable")
    for rule in rules():
        chosen = values[(values["metric"] == rule.metric)]
        if rule.structure != "*":
            chosen = chosen[chosen["structure"] == rule.structure]
        if chosen.empty:
            continue
        extreme = chosen["value"].min() if rule.comparison == "<" else chosen["value"].max()
        away = extreme - chosen["value"].median()
        beyond = [extreme + away, extreme + 2 * away, extreme * (2 / 3 if rule.comparison == "<" else 1.5)]
        told_of = [rule.flag, rule.metric, rule.structure, rule.comparison]
        print("\t".join([*told_of, f"{extreme:.3g}", *(f"{limit:.3g}" for limit in beyond), f"{rule.threshold:g}"]))


def outputs(options: argparse.Namespace) -> None:
    """Damage finished cases of the test half."""
    cases = materials(options.folder, options.scans)[1::2]
    sound = [raised(all_metrics(case)) for case in cases]
    rows = []
    for fault, (damage, wanted) in OUTPUT_FAULTS.items():
        rng = np.random.default_rng([len(fault), options.each])
        caught = worse = 0
        for k in range(options.each):
            which = k % len(cases)
            flags = raised(all_metrics(damage(cases[which], rng, cases)))
            caught += is_caught(flags, sound[which], wanted)
            worse += rate(flags) > rate(sound[which])
        rows.append(told(fault, options.each, caught, worse, wanted))
        print(f"{fault}: {caught} of {options.each}", flush=True)
    rows.append(no_fault([rate(flags) for flags in sound]))
    finish(rows, options.out)


def scans(options: argparse.Namespace) -> None:
    """Damage phantoms of the test half, run them at 4 mm with the undamaged ones, and read what was raised."""
    sources = sorted(options.folder.glob("sub-*/anat/*_T1w.nii.gz"))[1::2]
    dataset, out = options.work / "bids", options.work / "out"
    shutil.rmtree(dataset, ignore_errors=True)
    planned: dict[str, list[tuple[str, str]]] = {}
    for number, source in enumerate(sources):
        place(dataset, f"sound{number:02d}", nib.load(source))
    for fault, (damage, _) in SCAN_FAULTS.items():
        rng = np.random.default_rng([len(fault), options.each])
        for k in range(options.each):
            name = f"{fault.replace(' ', '')}{k:02d}"
            place(dataset, name, damage(nib.load(sources[k % len(sources)]), rng))
            planned.setdefault(fault, []).append((name, f"sound{k % len(sources):02d}"))
    (dataset / "dataset_description.json").write_text(json.dumps({"Name": "damaged", "BIDSVersion": "1.10.0"}))
    command = [sys.executable, "-c", "from cerebatch.cli.main import main; main()", "run", dataset, out, "participant"]
    more = ["--labelled-case", options.labelled_case, "--resolution", "4.0", "--no-pages"]
    subprocess.run([str(word) for word in command + more], check=False)
    found = finished_cases(out)
    judged = {name: read_result(name, folder).rating for name, folder in found.folders.items()}
    rows = []
    for fault, pairs in planned.items():
        wanted, caught, worse, refused = SCAN_FAULTS[fault][1], 0, 0, 0
        for name, before in pairs:
            rating, sound = judged.get(f"sub-{name}"), judged[f"sub-{before}"]
            if rating is None:  # refused by the run itself, with a reason
                caught, worse, refused = caught + 1, worse + 1, refused + 1
                continue
            caught += bool((warnings(rating) - {flag["Flag"] for flag in sound["Flags"]}) & set(wanted))
            worse += rating["Rating"] > sound["Rating"]
        rows.append(told(fault, len(pairs), caught, worse, wanted) | {"refused": refused})
    undamaged = [judged[f"sub-sound{k:02d}"] for k in range(len(sources))]
    rows.append(no_fault([rating["Rating"] for rating in undamaged]))
    # A phantom has not the proportions of a person, which is told of it in every case, damaged or not.
    listed = {flag for _, wanted in SCAN_FAULTS.values() for flag in wanted}
    alarms = sum(bool(warnings(rating) & listed) for rating in undamaged)
    rows.append(told("none (false alarms of the flags above)", len(undamaged), alarms, alarms, ()) | {"missed": 0})
    finish(rows, options.out)


def warnings(rating: dict[str, Any]) -> set[str]:
    """Names of the flags of a stored rating that are more than notes."""
    return {flag["Flag"] for flag in rating["Flags"] if flag["Severity"] != "note"}


def materials(folder: Path, datasets: list[Path]) -> list[QualityInputs]:
    """What quality is computed from, of every finished case of a folder."""
    return [_material(name, where, datasets) for name, where in sorted(finished_cases(folder).folders.items())]


def _material(name: str, where: Path, datasets: list[Path]) -> QualityInputs:
    result = read_result(name, where)
    (path,) = [path for root in datasets for path in (root / name).rglob("*_T1w.nii*")]
    scan, images = read_scan(path), Images.of(name, where / "anat", result.resolution)
    votes = list((where / "anat").glob(f"{name}_*desc-winner_probseg.nii.gz"))
    return QualityInputs(
        dseg=images.dseg,
        t1w=images.t1w,
        scan=scan.image,
        scan_grid=scan.grid,
        stored_grid=scan.stored_grid,
        mni_from_native=np.array(result.sidecar["AffineNativeToMNI"]),
        resolution=result.resolution,
        local_correlation=result.sidecar["LocalCorrelationWithTemplate"],
        icv_cm3=result.icv["VolumeCM3"],
        votes=np.asarray(nib.load(votes[0]).dataobj) if votes else None,
    )


def is_caught(flags: list[Flag], sound: list[Flag], wanted: tuple[str, ...]) -> bool:
    """Whether one of the wanted flags is there that the undamaged case has not."""
    before = {(flag.rule, flag.metric.structure, flag.metric.side) for flag in sound}
    return any(
        flag.rule.flag in wanted
        and flag.rule.severity != "note"
        and (flag.rule, flag.metric.structure, flag.metric.side) not in before
        for flag in flags
    )


def swapped(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    return replace(case, dseg=mirrored(case.dseg))


def erased(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    return replace(case, dseg=np.where(case.dseg == rng.choice(LOBULES), 0, case.dseg).astype(np.uint8))


def one_side_erased(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    side = rng.choice(["left", "right"])
    gone = [label.index for label in LABELS if label.side == side]
    return replace(case, dseg=np.where(np.isin(case.dseg, gone), 0, case.dseg).astype(np.uint8))


def shifted(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    steps = round(5.0 / case.resolution) * int(rng.choice([-1, 1]))
    return replace(case, dseg=np.roll(case.dseg, steps, int(rng.integers(3))))


def in_pieces(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    """4 mm through the middle of a lobule, across its longest extent, become white matter."""
    code = int(rng.choice(LOBULES))
    dseg = case.dseg.copy()
    places = np.argwhere(dseg == code)
    axis = int(np.argmax(places.max(axis=0) - places.min(axis=0)))
    near = np.abs(places[:, axis] - np.median(places[:, axis])) <= 2.0 / case.resolution
    dseg[tuple(places[near].T)] = 13 if code <= 13 else 26
    return replace(case, dseg=dseg)


def head_size(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    return replace(case, icv_cm3=case.icv_cm3 * float(rng.choice([0.7, 1.3])))


def codes_exchanged(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    one, other = rng.choice([code for code in LOBULES if code < 13], 2, replace=False)
    dseg = case.dseg.copy()
    dseg[case.dseg == one], dseg[case.dseg == other] = other, one
    return replace(case, dseg=dseg)


def swollen(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    """Labels grow outwards by 3 mm."""
    near = ndimage.distance_transform_edt(case.dseg == 0, return_indices=True)
    grown: LabelMap = case.dseg[tuple(near[1])]
    return replace(case, dseg=np.where(near[0] <= 3.0 / case.resolution, grown, 0).astype(np.uint8))


def shrunken(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    """The outermost 3 mm of the labels are gone."""
    inside = ndimage.distance_transform_edt(case.dseg > 0) > 3.0 / case.resolution
    return replace(case, dseg=np.where(inside, case.dseg, 0).astype(np.uint8))


def of_another(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    other = others[int(rng.integers(len(others)))]
    while other is case:
        other = others[int(rng.integers(len(others)))]
    return replace(case, dseg=other.dseg)


def cut_below(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    """The field of view ends in the lower third of the cerebellum, as if the scan had been cropped there."""
    z = (case.box.affine @ [0, 0, np.percentile(np.argwhere(case.dseg > 0)[:, 2], rng.uniform(10, 40)), 1])[2]
    native_z = (np.linalg.inv(case.mni_from_native) @ [0, -60, z, 1])[2]
    canonical = case.scan_grid
    first = round((np.linalg.inv(canonical.affine) @ [0, 0, native_z, 1])[2])
    x, y, size = canonical.shape
    return replace(case, stored_grid=canonical.block((slice(0, x), slice(0, y), slice(first, size))))


def rescaled(case: QualityInputs, rng: Rng, others: list[QualityInputs]) -> QualityInputs:
    factor = float(rng.choice([0.7, 1.4]))
    return replace(case, mni_from_native=case.mni_from_native @ np.diag([factor] * 3 + [1.0]), icv_cm3=case.icv_cm3)


OUTPUT_FAULTS: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "sides exchanged": (swapped, ("sides",)),
    "a lobule erased": (erased, ("missing",)),
    "one side erased": (one_side_erased, ("missing", "left and right")),
    "labels 5 mm off": (shifted, ("labels off",)),
    "a lobule in pieces": (in_pieces, ("pieces",)),
    "head size 30% off": (head_size, ("head size", "cerebellum of head")),
    "codes of two lobules exchanged": (codes_exchanged, ("proportion", "left and right")),
    "labels 3 mm too large": (swollen, ("labels off", "cerebellum of head", "contrast", "unlit")),
    "labels 3 mm too small": (shrunken, ("labels off", "cerebellum of head", "proportion", "pieces")),
    "labels of another person": (of_another, ("labels off", "contrast")),
    "field of view cut": (cut_below, ("field of view", "edge of field of view")),
    "affine of a wrong scale": (rescaled, ("affine scale", "head size")),
}  # fmt: skip

Image: TypeAlias = Any  # nibabel has no types


def noisy(image: Image, rng: Rng) -> Image:
    voxels = image.get_fdata()
    return _like(image, voxels + rng.normal(0, 0.12 * np.percentile(voxels, 98), voxels.shape))


def biased(image: Image, rng: Rng) -> Image:
    """A field that grows from a quarter to seven quarters along one axis."""
    voxels, axis = image.get_fdata(), int(rng.integers(3))
    slope = np.linspace(0.25, 1.75, voxels.shape[axis])[:: int(rng.choice([-1, 1]))]
    return _like(image, voxels * np.expand_dims(slope, [k for k in range(3) if k != axis]))


def cropped(image: Image, rng: Rng) -> Image:
    """The lowest part of the head is not in the scan, and half of the cerebellum with it."""
    upright = nib.as_closest_canonical(image)
    return upright.slicer[:, :, round(upright.shape[2] * rng.uniform(0.36, 0.44)) :]


def thick(image: Image, rng: Rng) -> Image:
    """Slices of 3.4 mm along one axis."""
    axis, voxels = int(rng.integers(3)), image.get_fdata()
    factor = 3.4 / float(image.header.get_zooms()[axis])
    smooth = ndimage.gaussian_filter1d(voxels, factor / 2.355, axis=axis)
    count = int(voxels.shape[axis] / factor)
    places = (np.arange(count) + 0.5) * factor - 0.5
    sampled = np.take(smooth, np.clip(np.round(places).astype(int), 0, voxels.shape[axis] - 1), axis=axis)
    step = np.eye(4)
    step[axis, axis], step[axis, 3] = factor, (factor - 1) / 2
    return nib.Nifti1Image(sampled.astype(np.float32), image.affine @ step)


def wrong_scale(image: Image, rng: Rng) -> Image:
    """The header says voxels of 1.4 times their size."""
    return nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine @ np.diag([1.4, 1.4, 1.4, 1.0]))


def ghosts(image: Image, rng: Rng) -> Image:
    """Motion in the phase direction: every second line was recorded with the head some millimetres away."""
    voxels, axis = image.get_fdata(), 1
    moved = np.roll(voxels, int(rng.integers(3, 6)), axis)
    lines = np.fft.fft(voxels, axis=axis), np.fft.fft(moved, axis=axis)
    mixed = lines[0].copy()
    odd = [slice(None)] * 3
    odd[axis] = slice(1, None, 2)
    mixed[tuple(odd)] = 0.4 * lines[0][tuple(odd)] + 0.6 * lines[1][tuple(odd)]
    return _like(image, np.abs(np.fft.ifft(mixed, axis=axis)))


SCAN_FAULTS: dict[str, tuple[Callable[[Image, Rng], Image], tuple[str, ...]]] = {
    "noise": (noisy, ("noise of scan", "noise")),
    "bias": (biased, ("bias of scan",)),
    "cut field of view": (cropped, ("field of view", "edge of field of view", "unlit", "registration", "affine scale")),
    "thick slices": (thick, ("thick slices",)),
    "wrong voxel size": (wrong_scale, ("affine scale", "head size")),
    "motion ghosts": (ghosts, ("signal in air", "noise of scan", "noise", "contrast of scan", "labels off")),
}  # fmt: skip


def _like(image: Image, voxels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image:
    return nib.Nifti1Image(np.maximum(voxels, 0).astype(np.float32), image.affine)


def place(dataset: Path, name: str, image: Image) -> None:
    """Write a scan into a BIDS dataset."""
    folder = dataset / f"sub-{name}" / "anat"
    folder.mkdir(parents=True)
    nib.save(image, folder / f"sub-{name}_T1w.nii.gz")


def told(fault: str, cases: int, caught: int, worse: int, wanted: tuple[str, ...]) -> dict[str, object]:
    """A row of the table."""
    return {
        "fault": fault, "cases": cases, "caught": caught, "missed": cases - caught, "rated worse": worse,
        "by one of": ", ".join(wanted),
    }  # fmt: skip


def no_fault(ratings: list[str]) -> dict[str, object]:
    """The row of undamaged cases; what is flagged there is a false alarm."""
    alarms = sum(rating != "A" for rating in ratings)
    return {
        "fault": "none (false alarms)", "cases": len(ratings), "caught": alarms, "missed": 0, "rated worse": alarms,
        "by one of": "any",
    }  # fmt: skip


def finish(rows: list[dict[str, object]], path: Path | None) -> None:
    """Print the table, and write it."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    write_table(table, path)


if __name__ == "__main__":
    main()
