"""What the networks make of the same head once more: mirrored, rescanned, and with one lobule smaller.

    python -m benchmarks.accuracy.robustness mirror WEIGHTS SCAN.nii.gz ...
    python -m benchmarks.accuracy.robustness rescan WEIGHTS SCAN.nii.gz ... --times 10 \
        --reliability hnu_deepceres_volumes.csv
    python -m benchmarks.accuracy.robustness shrink WEIGHTS SCAN.nii.gz ...

`mirror` exchanges left and right in the file, `rescan` turns and moves the head, resamples, adds noise and bias (these
are simulated rescans, DeepCERES's figures beside them are real ones), `shrink` makes one lobule smaller by a local
deformation of the prepared scan and compares the measured with the true change; leakage is what the structures that
touch it change otherwise than they should, as a share of what it lost. No atlas: what is tested is the networks, which
compute in bfloat16. Each file goes through `prepare`; work lies in a temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.common.published import as_published
from cerebatch.io.images import read_voxels
from cerebatch.labels import LABELS, WHITE_MATTER, mirrored
from cerebatch.measures.overlap import dice_by_structure, mean_dice
from cerebatch.networks.ensemble import Ensemble, load
from cerebatch.spatial.space import Grid, LabelMap, Volume, cerebellum_box
from cerebatch.stages.prepare import Prepared, prepare

SHRINKS = (0.95, 0.9, 0.8)
_FALLOFF_MM = 4.0


@dataclass(frozen=True)
class Seen:
    """A scan that went through `prepare` and the networks: T1w and labels in the box."""

    prepared: Prepared
    box: Grid
    t1w: Volume
    dseg: LabelMap

    @property
    def volumes_cm3(self) -> NDArray[np.float64]:
        """Of each structure, in the head."""
        voxel_mm3 = self.box.voxel_volume_mm3 / float(np.linalg.det(self.prepared.affine[:3, :3]))
        return _counts(self.dseg)[1:] * voxel_mm3 / 1000


def seen(networks: Ensemble, scan: Path) -> Seen:
    """Send a scan through `prepare` and the networks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(scan, folder, resolution=networks.resolution)
        t1w = read_voxels(folder / "T1w.nii.gz")
        prepared = Prepared.read(folder)
    return Seen(prepared, cerebellum_box(networks.resolution), t1w, labels(networks, t1w))


def labels(networks: Ensemble, t1w: Volume) -> LabelMap:
    """What the networks see in a prepared scan."""
    return networks.segment(t1w, precision="bfloat16").dseg


def mirror(networks: Ensemble, scans: list[Path], options: argparse.Namespace) -> None:
    """Dice of the labels of a mirrored scan, mirrored back, with those of the scan, in the box."""
    del options
    for scan in scans:
        image = nib.load(scan)
        with tempfile.TemporaryDirectory() as folder:
            turned = Path(folder) / "mirrored_T1w.nii.gz"
            across = int(np.argmax(np.abs(image.affine[0, :3])))
            nib.save(nib.Nifti1Image(np.flip(np.asarray(image.dataobj), across), image.affine), turned)
            there, back = seen(networks, scan).dseg, seen(networks, turned).dseg
        again = mirrored(back[::-1])
        least = np.nanmin(dice_by_structure(again, there))
        print(f"{scan.name}: mean Dice {mean_dice(again, there):.3f}, least {least:.3f}")


def rescan(networks: Ensemble, scans: list[Path], options: argparse.Namespace) -> None:
    """Coefficient of variation of each structure over simulated rescans."""
    generator = np.random.default_rng(1)
    rows = []
    for scan in scans:
        image = nib.load(scan)
        for turn in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "rescan_T1w.nii.gz"
                nib.save(_rescanned(image, generator), path)
                found = seen(networks, path).volumes_cm3
            rows.append({"scan": scan.name, "turn": turn} | dict(zip((one.name for one in LABELS), found, strict=True)))
            print(f"{scan.name} {turn}: {found.sum():.1f} cm3", flush=True)
    volumes = pd.DataFrame(rows).set_index(["scan", "turn"])
    variation = _variation(as_published(volumes), "scan")
    real = pd.Series(dtype=float)
    if options.reliability is not None:
        theirs = pd.read_csv(options.reliability).set_index("ID")
        real = _variation(theirs[list(variation.index)], "ID")
    print("structure\tCV %, simulated\tDeepCERES, real rescans\tratio")
    for name, value in variation.items():
        print(f"{name}\t{value:.2f}\t{real.get(name, np.nan):.2f}\t{value / real.get(name, np.nan):.2f}")


def shrink(networks: Ensemble, scans: list[Path], options: argparse.Namespace) -> None:
    """Measured against true change of one lobule at a time, and what its neighbours change."""
    del options
    rows = []
    for scan in scans:
        whole = seen(networks, scan)
        dseg, t1w = whole.dseg, whole.t1w
        before = _counts(dseg)
        for label in LABELS:
            if label.index in WHITE_MATTER or before[label.index] == 0:
                continue
            neighbours = _neighbours(dseg, label.index)
            for share in SHRINKS:
                small, smaller = _shrunk(t1w, dseg, label.index, share, networks.resolution)
                true = _counts(smaller) - before
                measured = _counts(labels(networks, small)) - before
                lost = -true[label.index]
                rows.append(
                    {
                        "structure": label.structure,
                        "true": true[label.index] / before[label.index],
                        "measured": measured[label.index] / before[label.index],
                        "leakage": np.abs(measured - true)[neighbours].sum() / lost,
                    }
                )
            print(f"{scan.name} {label.name}: {rows[-1]}", flush=True)
    table = pd.DataFrame(rows)
    print("structure\tslope\tleakage into neighbours")
    for structure, group in table.groupby("structure", sort=False):
        slope = float((group["true"] * group["measured"]).sum() / (group["true"] ** 2).sum())
        print(f"{structure}\t{slope:.2f}\t{group['leakage'].median():.2f}")
    slope = float((table["true"] * table["measured"]).sum() / (table["true"] ** 2).sum())
    print(f"all\t{slope:.2f}\t{table['leakage'].median():.2f}")


def _rescanned(image: nib.Nifti1Image, generator: np.random.Generator) -> nib.Nifti1Image:
    """The head turned by up to 5 degrees and moved by up to 5 mm, on the same grid, with 2% noise and 10% bias."""
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    edge = np.array(image.header.get_zooms()[:3])
    turn = Rotation.from_euler("xyz", generator.uniform(-5, 5, 3), degrees=True).as_matrix()
    matrix = np.diag(1 / edge) @ turn @ np.diag(edge)
    centre = (np.array(voxels.shape) - 1) / 2
    offset = centre - matrix @ centre + generator.uniform(-5, 5, 3) / edge
    moved = ndimage.affine_transform(voxels, matrix, offset, order=3)
    field = generator.normal(0, 0.1, (3, 3, 3))
    zoom = np.array(voxels.shape) / 3
    bias = ndimage.zoom(field, zoom, order=1, grid_mode=True, mode="nearest")
    noise = 0.02 * np.percentile(voxels[voxels > 0], 95)
    real, imaginary = (generator.normal(0, noise, voxels.shape) for _ in range(2))
    seen = np.hypot(np.maximum(moved, 0) * np.exp(bias) + real, imaginary) * (moved > 0)
    return nib.Nifti1Image(seen.astype(np.float32), image.affine)


def _shrunk(t1w: Volume, dseg: LabelMap, code: int, share: float, voxel_mm: float) -> tuple[Volume, LabelMap]:
    """Image and labels with one structure drawn together around its centroid; the pull fades within 4 mm."""
    inside = dseg == code
    centre = np.array(ndimage.center_of_mass(inside))
    away_mm = ndimage.distance_transform_edt(~inside, sampling=voxel_mm)
    pull = np.clip(1 - away_mm / _FALLOFF_MM, 0, 1) * (share ** (-1 / 3) - 1)
    index = np.indices(t1w.shape, dtype=np.float64)
    places = index + (index - centre[:, None, None, None]) * pull
    image: Volume = ndimage.map_coordinates(t1w, places, order=3, mode="nearest").astype(np.float32)
    moved: NDArray[np.uint8] = ndimage.map_coordinates(dseg, places, order=0)
    return image, moved


def _counts(dseg: LabelMap) -> NDArray[np.float64]:
    """Voxels of each label, background first."""
    return np.bincount(dseg.ravel(), minlength=len(LABELS) + 1).astype(np.float64)


def _neighbours(dseg: LabelMap, code: int) -> list[int]:
    """Codes of the other structures that touch one."""
    around = ndimage.binary_dilation(dseg == code)
    return sorted(set(np.unique(dseg[around]).tolist()) - {0, code})


def _variation(volumes: pd.DataFrame, person: str) -> pd.Series:
    """Coefficient of variation within a person in %, mean over persons."""
    groups = volumes.groupby(person)
    return 100 * (groups.std() / groups.mean()).mean()


def main() -> None:
    """Measure and print."""
    kinds: dict[str, Callable[[Ensemble, list[Path], argparse.Namespace], None]] = {
        "mirror": mirror, "rescan": rescan, "shrink": shrink,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("weights", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--reliability", type=Path, help="DeepCERES volumes of people scanned ten times")
    options = parser.parse_args()
    kinds[options.kind](load(options.weights), options.scans, options)


if __name__ == "__main__":
    main()
