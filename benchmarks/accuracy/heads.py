"""How often a head is found: turned, scaled, cut, defaced, extracted, in thick slices, in any contrast.

    python -m benchmarks.accuracy.heads DATA --cases 200 [--weights head.safetensors] [--out TABLE.tsv]

DATA holds `heads/*_dseg.nii.gz`. Without `--weights` the search is measured, with them the network. A case is found if
the affine is within 3 mm (RMS over the cerebellum) and 3 degrees of the truth, wrong if it is not and nobody said so.
The truth is the affine of the head's T1w rendering, untouched; what is done to a case is exact in its header.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.common.synthetic_heads import CEREBELLUM
from benchmarks.common.tables import write_table
from cerebatch.errors import CerebatchError
from cerebatch.library.tissues import TISSUE_OF_CODE, TISSUES
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Affine, Grid, Volume, apply, inverse
from cerebatch.spatial.whereabouts import Whereabouts

LEVELS = {  # air, CSF, GM, WM, bone, fat, muscle, vessel
    "T1w": (0.0, 0.2, 0.6, 0.92, 0.1, 1.1, 0.5, 0.3),
    "T2w": (0.0, 1.0, 0.55, 0.4, 0.05, 0.7, 0.3, 0.2),
    "FLAIR": (0.0, 0.1, 0.65, 0.5, 0.1, 0.6, 0.35, 0.25),
    "MP2RAGE": (0.0, 0.15, 0.55, 0.95, 0.3, 0.95, 0.5, 0.4),
}
STATES = ("whole", "whole", "cut top", "cut chin", "defaced", "stripped", "thick")
SMALLEST, LARGEST = 0.6, 1.1
FOUND_MM, FOUND_DEGREES = 3.0, 3.0
_MARGIN_MM = 10


@dataclass(frozen=True)
class KnownHead:
    """A head map of known place: ids of `TISSUES` and what else a case is made from."""

    name: str
    codes: NDArray[np.integer]
    tissues: NDArray[np.uint8]
    grid: Grid
    mni_from_native: Affine

    @property
    def cerebellum_mm(self) -> NDArray[np.float64]:
        """Every tenth voxel of the cerebellum, native."""
        return apply(self.grid.affine, np.argwhere(np.isin(self.codes, CEREBELLUM))[::10].astype(float))


def known_head(path: Path) -> KnownHead:
    """Read a map and register its T1w rendering."""
    stored = nib.as_closest_canonical(nib.load(path))
    codes, grid = np.asarray(stored.dataobj), Grid.of(stored)
    index = np.argwhere(codes > 0)
    block = tuple(
        slice(max(0, a - _MARGIN_MM), b + _MARGIN_MM) for a, b in zip(index.min(0), index.max(0), strict=True)
    )
    codes, grid = codes[block], grid.block(tuple(slice(s.start, n) for s, n in zip(block, codes.shape, strict=True)))
    grid = Grid(codes.shape, grid.affine)
    table = np.zeros(600, dtype=np.uint8)
    table[list(TISSUE_OF_CODE)] = list(TISSUE_OF_CODE.values())
    tissues = table[codes]
    image = ndimage.gaussian_filter(np.array(LEVELS["T1w"], dtype=np.float32)[tissues], 0.6) * 1000
    known = register_to_template(image, grid, seed=1).mni_from_native
    return KnownHead(path.name.split("_")[0], codes, tissues, grid, known)


def case_of(head: KnownHead, number: int) -> tuple[dict[str, object], Volume, Grid, Affine]:
    """A case: what was done, image, grid, and the true affine native -> MNI."""
    rng = np.random.default_rng(number)
    state = STATES[number % len(STATES)]
    contrast = str(rng.choice(list(LEVELS), p=(0.55, 0.15, 0.15, 0.15)))
    levels = np.array(LEVELS[contrast]) + rng.normal(0, 0.03, len(TISSUES)) * (np.arange(len(TISSUES)) > 0)
    image = ndimage.gaussian_filter(levels.astype(np.float32)[head.tissues], 0.6)
    bias = ndimage.zoom(rng.normal(0.0, 0.12, (4, 4, 4)), np.array(image.shape) / 4, order=1)
    image = np.abs(image * np.exp(bias) + rng.normal(0.0, 0.04, image.shape)).astype(np.float32)
    if contrast == "MP2RAGE":
        image = np.where(head.tissues == 0, rng.random(image.shape, dtype=np.float32), image)
    grid = head.grid
    place = apply(head.mni_from_native @ grid.affine, np.indices(image.shape).reshape(3, -1).T.astype(float)).T
    _, y, z = (axis.reshape(image.shape) for axis in place)
    inside = (head.codes > 0) & (head.codes < 200)
    if state == "stripped":
        image = np.where(ndimage.binary_dilation(inside & (head.codes != 24), iterations=2), image, 0)
    if state == "defaced":
        image = np.where((y > 20) & (z < -25) & ~inside, 0, image)
    if state in ("cut top", "cut chin"):
        line = z[tuple(n // 2 for n in image.shape[:2])]
        rows = (
            np.flatnonzero(line < rng.uniform(45, 75))
            if state == "cut top"
            else np.flatnonzero(line > rng.uniform(-80, -55))
        )
        image, grid = (
            image[:, :, rows[0] : rows[-1] + 1],
            grid.block((*[slice(0, n) for n in image.shape[:2]], slice(int(rows[0]), int(rows[-1]) + 1))),
        )
    if state == "thick":
        axis, factor = int(rng.integers(3)), 3
        n = image.shape[axis] // factor
        parts = np.moveaxis(
            np.moveaxis(image, axis, 0)[: n * factor]
            .reshape(n, factor, *np.moveaxis(image, axis, 0).shape[1:])
            .mean(axis=1),
            0,
            axis,
        )
        step = np.eye(4)
        step[axis, axis], step[axis, 3] = factor, (factor - 1) / 2
        image, grid = parts.astype(np.float32), Grid(parts.shape, grid.affine @ step)
    degrees = float(rng.uniform(0, 60)) if number % 2 else float(rng.uniform(0, 20))
    direction = rng.normal(size=3)
    scale = float(rng.uniform(SMALLEST, LARGEST))
    pose = np.eye(4)
    pose[:3, :3] = scale * Rotation.from_rotvec(np.deg2rad(degrees) * direction / np.linalg.norm(direction)).as_matrix()
    pose[:3, 3] = rng.uniform(-80, 80, 3)
    moved = Grid(grid.shape, pose @ grid.affine)
    done = {
        "head": head.name,
        "state": state,
        "contrast": contrast,
        "degrees": round(degrees),
        "scale": round(scale, 2),
    }
    return done, np.ascontiguousarray(image * 1000), moved, head.mni_from_native @ inverse(pose)


def told(found: Affine, true: Affine, points_mm: NDArray[np.float64]) -> tuple[float, float]:
    """RMS distance in MNI millimetres, and angle between the rotations."""
    off = apply(found, points_mm) - apply(true, points_mm)
    turns = []
    for one in (found, true):
        u, _, vt = np.linalg.svd(one[:3, :3])
        turns.append(u @ vt)
    angle = np.rad2deg(np.arccos(np.clip((np.trace(turns[0] @ turns[1].T) - 1) / 2, -1, 1)))
    return float(np.sqrt((off**2).sum(axis=1).mean())), float(angle)


def verdict(found: Affine | None, true: Affine, points_mm: NDArray[np.float64]) -> tuple[str, float, float]:
    """Found, wrong or refused; millimetres and degrees."""
    if found is None:
        return "refused", np.nan, np.nan
    off_mm, degrees = told(found, true, points_mm)
    return ("found" if off_mm <= FOUND_MM and degrees <= FOUND_DEGREES else "wrong"), off_mm, degrees


def main() -> None:
    """Print each case and the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--heads", nargs="*", default=["head-13", "head-14", "head-15", "head-16"])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--look-only", action="store_true", help="the closed form, no refinement")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ants_bridge.use_one_thread()
    heads = [known_head(arguments.data / "heads" / f"{name}_dseg.nii.gz") for name in arguments.heads]
    rows = []
    for number in range(arguments.first, arguments.first + arguments.cases):
        head = heads[number % len(heads)]
        done, image, grid, true = case_of(head, number)
        points = apply(inverse(true) @ head.mni_from_native, head.cerebellum_mm)
        began = time.process_time()
        seen: Whereabouts | None = None
        if arguments.weights is not None:
            from cerebatch.networks.auxiliary.head import find_head
            from cerebatch.networks.auxiliary.loading import load_helper

            seen = find_head(load_helper(arguments.weights, "head"), image, grid)
        try:
            found = None
            if seen is not None and arguments.look_only:
                found = None if seen.fault() else seen.mni_from_native
            else:
                found = register_to_template(image, grid, seed=1, seen=seen).mni_from_native
        except CerebatchError as error:
            done = done | {"why": str(error)[:120]}
        how, off_mm, degrees = verdict(found, true, points)
        row = {"case": number, **done, "verdict": how, "mm": off_mm, "off degrees": degrees}
        if seen is not None:
            row |= dict(
                zip(
                    ("closed form", "closed mm", "closed degrees"),
                    verdict(seen.mni_from_native, true, points),
                    strict=True,
                )
            )
            row["look mm"] = seen.error_mm
        rows.append(row | {"CPU s": time.process_time() - began})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    write_table(table, arguments.out)
    for by in ("state", "contrast"):
        print(table.groupby(by)["verdict"].value_counts(normalize=True).unstack(fill_value=0).round(3))
    print(table["verdict"].value_counts(normalize=True).round(3))


if __name__ == "__main__":
    main()
