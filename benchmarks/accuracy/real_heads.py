"""Which hard heads the search finds: real scans made small, turned, cut, extracted, stored in other ways.

    python -m benchmarks.accuracy.real_heads PREPARED SCAN ... [--only NAME ...] [--out TABLE.tsv]

PREPARED holds a folder a scan, named as its file begins, with the `prepared.json` of the scan as it is: the truth for
everything that is made of it, as what is done is exact in the header. Found is within 3 mm (RMS over the
cerebellum, in MNI millimetres), wrong is further away without anybody saying so. A header mirrored from left to right
holds a head that is as good as any; the row tells whether it was refused.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.accuracy.prepared_again import apart_mm, found_in, name_of
from benchmarks.common.tables import write_table
from cerebatch.errors import CerebatchError
from cerebatch.io.scan import read_scan
from cerebatch.spatial import ants_bridge, template
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Affine, Grid, Volume, apply, inverse, resample
from cerebatch.stages.prepare import Prepared

FOUND_MM = 3.0
SCALES = (0.6, 0.7, 0.8, 0.9, 1.1)
_TOP_MM, _CHIN_MM = 60.0, -72.0
_NECK_MM = 120.0

Variant = tuple[Volume, Grid, Affine]
"""Scan, and the affine native -> MNI that belongs to it."""


def posed(image: Volume, grid: Grid, known: Affine, pose: Affine) -> Variant:
    """The same voxels, the header moved."""
    return image, Grid(grid.shape, pose @ grid.affine), known @ inverse(pose)


def scaled(image: Volume, grid: Grid, known: Affine, scale: float) -> Variant:
    """A head of another size."""
    return posed(image, grid, known, np.diag([scale, scale, scale, 1.0]))


def turned(image: Volume, grid: Grid, known: Affine, axis: str, degrees: float) -> Variant:
    """A head that lies askew."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return posed(image, grid, known, pose)


def height_mm(image: Volume, grid: Grid, known: Affine) -> NDArray[np.float64]:
    """MNI z of each voxel."""
    row = (known @ grid.affine)[2]
    x, y, z = np.ogrid[tuple(slice(n) for n in image.shape)]
    heights: NDArray[np.float64] = row[0] * x + row[1] * y + row[2] * z + row[3]
    return heights


def cut(image: Volume, grid: Grid, known: Affine) -> Variant:
    """Slices above the crown and below the cerebellum missing: no voxel outside them is left."""
    heights = height_mm(image, grid, known)
    kept = (heights < _TOP_MM) & (heights > _CHIN_MM)
    index = np.argwhere(kept)
    (a, b, c), (d, e, f) = index.min(axis=0), index.max(axis=0) + 1
    block = slice(int(a), int(d)), slice(int(b), int(e)), slice(int(c), int(f))
    return np.ascontiguousarray(np.where(kept, image, 0)[block]).astype(np.float32), grid.block(block), known


def with_neck(image: Volume, grid: Grid, known: Affine) -> Variant:
    """A long field of view: the lowest slices of the head go on downwards, as wide as a neck and shoulders."""
    axis = int(np.abs(grid.affine[2, :3]).argmax())
    upwards = grid.affine[2, axis] > 0
    voxels = int(_NECK_MM / grid.voxel_sizes_mm[axis])
    before = (voxels, 0) if upwards else (0, voxels)
    pad = [before if k == axis else (0, 0) for k in range(3)]
    moved = np.eye(4)
    moved[axis, 3] = -voxels if upwards else 0
    image = np.pad(image, pad, mode="edge")
    x, y, z = image.shape
    return image.astype(np.float32), Grid((x, y, z), grid.affine @ moved), known


def defaced(image: Volume, grid: Grid, known: Affine) -> Variant:
    """Nothing in front of and below the brain."""
    x, y, z = np.ogrid[tuple(slice(n) for n in image.shape)]
    row = (known @ grid.affine)[1]
    forward = row[0] * x + row[1] * y + row[2] * z + row[3]
    return np.where((forward > 15) & (height_mm(image, grid, known) < -30), 0, image).astype(np.float32), grid, known


def extracted(image: Volume, grid: Grid, known: Affine) -> Variant:
    """The brain alone, by the template's mask."""
    mask = ndimage.binary_dilation(template.brain_mask(2), iterations=1)
    inside = resample(mask.astype(np.float32), template.t1w(2)[1], grid, known, order=1) > 0.5
    return np.where(inside, image, 0).astype(np.float32), grid, known


def stored(image: Volume, grid: Grid, known: Affine, axes: tuple[int, int, int], flips: tuple[int, ...]) -> Variant:
    """The same head with axes in another order, some of them the other way round."""
    order = np.zeros((4, 4))
    for k, axis in enumerate(axes):
        order[axis, k] = 1.0
    order[3, 3] = 1.0
    image = np.transpose(image, axes)
    back = np.eye(4)
    for axis in flips:
        back[axis, axis], back[axis, 3] = -1.0, image.shape[axis] - 1.0
    image = np.ascontiguousarray(np.flip(image, flips)) if flips else np.ascontiguousarray(image)
    x, y, z = image.shape
    return image, Grid((x, y, z), grid.affine @ order @ back), known


def mirrored(image: Volume, grid: Grid, known: Affine) -> Variant:
    """A header that exchanges left and right; the truth is where a mirrored head would lie."""
    middle = apply(inverse(known), np.zeros((1, 3)))[0, 0]
    pose = np.diag([-1.0, 1.0, 1.0, 1.0])
    pose[0, 3] = 2 * middle
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    return image, Grid(grid.shape, pose @ grid.affine), flip @ known @ inverse(pose)


def on_voxels(image: Volume, grid: Grid, known: Affine, voxel_mm: float) -> Variant:
    """The scan resampled."""
    factor = voxel_mm / grid.voxel_sizes_mm
    x, y, z = (int(n / f) for n, f in zip(grid.shape, factor, strict=True))
    finer = Grid((x, y, z), grid.affine @ np.diag([*factor, 1.0]))
    return resample(image, grid, finer, np.eye(4), order=1), finer, known


def as_it_is(image: Volume, grid: Grid, known: Affine) -> Variant:
    """Nothing is done."""
    return image, grid, known


def small_with_neck(image: Volume, grid: Grid, known: Affine) -> Variant:
    """A child in a long field of view."""
    return with_neck(*scaled(image, grid, known, 0.7))


VARIANTS: dict[str, Callable[[Volume, Grid, Affine], Variant]] = {
    "as it is": as_it_is,
    **{f"scale {scale}": partial(scaled, scale=scale) for scale in SCALES},
    "long neck": with_neck,
    "child with a long neck": small_with_neck,
    "cut top and chin": cut,
    "defaced": defaced,
    "extracted": extracted,
    "nod 60": partial(turned, axis="x", degrees=60.0),
    "tilt 60": partial(turned, axis="y", degrees=60.0),
    "turn 60": partial(turned, axis="z", degrees=60.0),
    "stored z, y, x": partial(stored, axes=(2, 1, 0), flips=()),
    "stored y, z, x, two flipped": partial(stored, axes=(1, 2, 0), flips=(0, 2)),
    "0.7 mm": partial(on_voxels, voxel_mm=0.7),
    "0.5 mm": partial(on_voxels, voxel_mm=0.5),
    "2 mm": partial(on_voxels, voxel_mm=2.0),
    "left and right exchanged": mirrored,
}


def rows_of(path: Path, prepared: Path, names: list[str]) -> Iterator[dict[str, object]]:
    """A row a variant."""
    name, scan = name_of(path), read_scan(path)
    folder = found_in(prepared, name)
    if folder is None:
        raise SystemExit(f"{prepared}: expected {name}/prepared.json, found none; prepare the scan first.")
    known = Prepared.read(folder).affine
    for what in names:
        image, grid, true = VARIANTS[what](scan.image, scan.grid, known)
        row: dict[str, object] = {"scan": name, "variant": what}
        began = time.process_time()
        try:
            found = register_to_template(image, grid, seed=1)
        except CerebatchError as error:
            row |= {"verdict": "refused", "why": str(error)[:100]}
        else:
            off = apart_mm(true, found.mni_from_native)
            verdict = "found" if off <= FOUND_MM else "wrong"
            row |= {"verdict": verdict, "mm": off, "local correlation": found.local_correlation}
        yield row | {"CPU s": time.process_time() - began}


def main() -> None:
    """Print a row for each scan and variant, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ants_bridge.use_one_thread()
    rows = []
    for path in options.scans:
        for row in rows_of(path, options.prepared, options.only):
            rows.append(row)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(table.groupby("variant")["verdict"].value_counts().unstack(fill_value=0))


if __name__ == "__main__":
    main()
