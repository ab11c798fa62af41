"""Seconds for fusing label maps, against reading the same memory once and against what else is there.

    python -m benchmarks.speed.fusion [--shape X Y Z] [--cases N] [--repeats R] [--out TABLE.tsv]

The cases are made up: 26 structures in an ellipsoid, T1-like, every case bent by a smooth displacement of its own.
What is slow runs once or on a smaller box: compare nanoseconds per voxel and case. `floor` is that number over the
one of an OpenMP sum over the same arrays with as many threads; `agrees` is the part of voxels with cerebatch's label.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk  # noqa: N813
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.common.tables import write_table
from cerebatch import _kernels
from cerebatch.spatial.fusion import fuse, warp_and_fuse
from cerebatch.spatial.space import Field, LabelMap, Volume

D = 0.5
STRUCTURES = 26
RESIDUAL_VOXELS = 2.0
"""Standard deviation, along each axis, of what a registration leaves."""

SMOOTHNESS_VOXELS = 16
SLAB = 8
SCIPY_BOX = (96, 80, 80)
ANTS_BOX, ANTS_CASES = (32, 32, 32), 5
ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@dataclass(frozen=True)
class Cases:
    """A target and N cases of one shape.

    Attributes
    ----------
    target : (X, Y, Z) float32
        Z-scores.
    images : list of (X, Y, Z) float32
    labels : list of (X, Y, Z) uint8
    fields : dict of int to list of (X / f, Y / f, Z / f, 3) float32
        Displacements in voxels, by the factor f.
    """

    target: Volume
    images: list[Volume]
    labels: list[LabelMap]
    fields: dict[int, list[Field]]

    def box(self, shape: tuple[int, int, int], number: int) -> Cases:
        """The central box of the first cases, with the fields of factor 1."""
        sides = zip(self.target.shape, shape, strict=True)
        part = tuple(slice((n - min(n, m)) // 2, (n + min(n, m)) // 2) for n, m in sides)

        def cut(arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            return [np.ascontiguousarray(array[part]) for array in arrays[:number]]

        return Cases(cut([self.target])[0], cut(self.images), cut(self.labels), {1: cut(self.fields[1])})


def smooth_field(shape: tuple[int, int, int], voxels: float, rng: np.random.Generator) -> torch.Tensor:
    """Displacement with a standard deviation of `voxels` along each axis, shape (1, 3, X, Y, Z)."""
    coarse = rng.standard_normal((1, 3, *(n // SMOOTHNESS_VOXELS + 2 for n in shape))).astype(np.float32)
    field = torch.nn.functional.interpolate(torch.from_numpy(coarse), shape, mode="trilinear", align_corners=True)
    return field * (voxels / field.std())


def warped(volume: torch.Tensor, field: torch.Tensor, mode: str) -> torch.Tensor:
    """Volume (X, Y, Z) sampled at index + displacement, edges replicated."""
    at = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in volume.shape), indexing="ij"), -1)
    at += field[0].movedim(0, -1)
    at = at * (2.0 / (torch.tensor(volume.shape) - 1)) - 1.0
    return torch.nn.functional.grid_sample(
        volume[None, None], at.flip(-1)[None], mode=mode, padding_mode="border", align_corners=True
    )[0, 0]


def parcellation(shape: tuple[int, int, int], rng: np.random.Generator) -> LabelMap:
    """Nearest of 26 points, in an ellipsoid that fills about 30% of the box."""
    semi_axes = 0.415 * np.array(shape)
    points = rng.normal(size=(STRUCTURES, 3))
    points *= (rng.uniform(0.1, 0.8, (STRUCTURES, 1)) / np.linalg.norm(points, axis=1, keepdims=True)) ** (1 / 3)
    at = (
        np.moveaxis(np.indices(shape, dtype=np.float32), 0, -1) - (np.array(shape, dtype=np.float32) - 1) / 2
    ) / semi_axes
    inside = np.einsum("...c,...c", at, at) < 1
    dseg = np.zeros(shape, dtype=np.uint8)
    dseg[inside] = 1 + cKDTree(points).query(at[inside])[1]
    return dseg


def make_cases(shape: tuple[int, int, int], number: int) -> Cases:
    """The target is the template itself with noise; every image has noise of its own."""
    rng = np.random.default_rng(1)
    dseg = parcellation(shape, rng)
    level = np.concatenate([[-0.6], rng.uniform(0.5, 2.5, STRUCTURES)]).astype(np.float32)
    template = ndimage.gaussian_filter(level[dseg], 1.0)

    def noise() -> NDArray[np.float32]:
        return np.float32(0.2) * rng.standard_normal(shape, dtype=np.float32)

    images: list[Volume] = []
    labels: list[LabelMap] = []
    fields: dict[int, list[Field]] = {1: [], 2: []}
    dseg_float = torch.from_numpy(dseg.astype(np.float32))
    for _ in range(number):
        residual = smooth_field(shape, RESIDUAL_VOXELS, rng)
        images.append(warped(torch.from_numpy(template), residual, "bilinear").numpy() + noise())
        labels.append(warped(dseg_float, residual, "nearest").to(torch.uint8).numpy())
        field = smooth_field(shape, RESIDUAL_VOXELS / 2, rng)
        coarse = torch.nn.functional.avg_pool3d(field, 2)
        for factor, tensor in ((1, field), (2, coarse)):
            fields[factor].append(np.ascontiguousarray(tensor[0].movedim(0, -1).numpy()))
    return Cases(template + noise(), images, labels, fields)


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices along x, so that a sum of weights for every label fits into memory."""
    return (slice(start, start + SLAB) for start in range(0, shape[0], SLAB))


def numpy_fuse(target: Volume, images: list[Volume], labels: list[LabelMap]) -> LabelMap:
    """Fuse with fancy indices."""
    dseg = np.empty(target.shape, dtype=np.uint8)
    for part in slabs(target.shape):
        sums = np.zeros((target[part].size, STRUCTURES + 1), dtype=np.float32)
        voxels = np.arange(len(sums))
        for image, of_case in zip(images, labels, strict=True):
            sums[voxels, of_case[part].ravel()] += (1 / (1 + D * np.abs(target[part] - image[part]))).ravel()
        dseg[part] = sums.argmax(axis=1).reshape(target[part].shape)
    return dseg


def torch_fuse(target: Volume, images: list[Volume], labels: list[LabelMap]) -> LabelMap:
    """Fuse with scatter_add."""
    dseg = np.empty(target.shape, dtype=np.uint8)
    for part in slabs(target.shape):
        here = torch.from_numpy(target[part])
        sums = torch.zeros((STRUCTURES + 1, *here.shape))
        for image, of_case in zip(images, labels, strict=True):
            weight = 1 / (1 + D * (here - torch.from_numpy(image[part])).abs())
            sums.scatter_add_(0, torch.from_numpy(of_case[part])[None].long(), weight[None])
        dseg[part] = sums.argmax(dim=0).numpy()
    return dseg


def scipy_warp_and_numpy_fuse(cases: Cases) -> LabelMap:
    """Warp with map_coordinates, then fuse with NumPy."""
    grid = np.indices(cases.target.shape, dtype=np.float32)
    images, labels = [], []
    for image, of_case, field in zip(cases.images, cases.labels, cases.fields[1], strict=True):
        at = grid + np.moveaxis(field, -1, 0)
        images.append(ndimage.map_coordinates(image, at, order=1, mode="nearest"))
        labels.append(ndimage.map_coordinates(of_case, at, order=0, mode="nearest"))
    return numpy_fuse(cases.target, images, labels)


def torch_warp_and_fuse(cases: Cases) -> LabelMap:
    """Warp with grid_sample, then fuse with torch."""
    images, labels = [], []
    for image, of_case, field in zip(cases.images, cases.labels, cases.fields[1], strict=True):
        displacement = torch.from_numpy(field).movedim(-1, 0)[None]
        images.append(warped(torch.from_numpy(image), displacement, "bilinear").numpy())
        labels.append(warped(torch.from_numpy(of_case).float(), displacement, "nearest").to(torch.uint8).numpy())
    return torch_fuse(cases.target, images, labels)


def ants_fuse(cases: Cases) -> Callable[[], LabelMap]:
    """Joint label fusion of antspyx on one thread, with its defaults."""
    # Read at its first use, by this ITK and by that of SimpleITK.
    os.environ[ITK_THREADS] = "1"
    import ants

    target, mask = ants.from_numpy(cases.target), ants.from_numpy(np.ones_like(cases.target))
    images = [ants.from_numpy(image) for image in cases.images]
    labels = [ants.from_numpy(of_case.astype(np.float32)) for of_case in cases.labels]

    def run() -> LabelMap:
        fused = ants.joint_label_fusion(target, mask, images, label_list=labels)["segmentation"].numpy()
        # It only warns where it fails.
        if not np.isin(fused, cases.labels).all() or fused.max() == 0:
            raise RuntimeError("ants.joint_label_fusion: expected the codes of the cases, found others or none")
        return np.asarray(fused, dtype=np.uint8)

    return run


class Table:
    """Measurements in the order in which they were made."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(
        self, what: str, threads: int, run: Callable[[], object], cases: Cases, repeats: int, floor_ns: float = np.nan,
        truth: LabelMap | None = None,
    ) -> float:  # fmt: skip
        """Time the best of `repeats` runs; gives nanoseconds per voxel and case."""
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            result = run()
            seconds.append(time.perf_counter() - start)
        ns = 1e9 * min(seconds) / (len(cases.images) * cases.target.size)
        if isinstance(result, tuple):
            result = result[0]
        self.rows.append(
            {
                "what": what,
                "threads": threads,
                "box": "x".join(map(str, cases.target.shape)),
                "cases": len(cases.images),
                "seconds": f"{min(seconds):.3f}",
                "ns": f"{ns:.3f}",
                "floor": "" if np.isnan(floor_ns) else f"{ns / floor_ns:.2f}",
                "agrees": "" if truth is None else f"{np.mean(result == truth):.5f}",
            }
        )
        print("\t".join(map(str, self.rows[-1].values())), flush=True)
        return ns


def measure(cases: Cases, threads: int, repeats: int, table: Table) -> None:
    """All rows for one number of threads."""
    torch.set_num_threads(threads)
    target, images, labels = cases.target, cases.images, cases.labels
    arrays: list[NDArray[Any]] = [target, *images, *labels]

    def floor(name: str, read: list[NDArray[Any]]) -> float:
        ns = table.add(f"floor: {name}", threads, lambda: _kernels.sum_words(read, threads), cases, repeats)
        print(f"  {sum(array.nbytes for array in read) / (ns * len(images) * target.size):.1f} GB/s")
        return ns

    floor_ns = floor("target, images, labels", arrays)
    table.add("cerebatch fuse", threads, lambda: fuse(target, images, labels, D, threads), cases, repeats, floor_ns)
    dseg = fuse(target, images, labels, D, threads)[0]
    peers = {"torch scatter_add": lambda: torch_fuse(target, images, labels)}
    if threads == 1:
        peers["NumPy"] = lambda: numpy_fuse(target, images, labels)
    for what, peer in peers.items():
        table.add(what, threads, peer, cases, 1, floor_ns, dseg)
    voting = sitk.LabelVotingImageFilter()
    voting.SetNumberOfThreads(threads)
    of_sitk = [sitk.GetImageFromArray(of_case) for of_case in labels]
    table.add("SimpleITK LabelVoting, unweighted", threads, lambda: voting.Execute(of_sitk), cases, 1, floor_ns)

    warp_floors_ns = {}
    for factor, fields in cases.fields.items():
        warp_floors_ns[factor] = floor(f"and fields, factor {factor}", [*arrays, *fields])

        def run(fields: list[Field] = fields) -> tuple[LabelMap, Volume]:
            return warp_and_fuse(target, images, labels, fields, D, threads)

        table.add(f"cerebatch warp_and_fuse, factor {factor}", threads, run, cases, repeats, warp_floors_ns[factor])
        if factor == 1:
            dseg = run()[0]
            table.add("torch grid_sample, scatter_add", threads, lambda: torch_warp_and_fuse(cases), cases, 1,
                      warp_floors_ns[1], dseg)  # fmt: skip
    if threads == 1:
        box = cases.box(SCIPY_BOX, len(images))
        dseg = warp_and_fuse(box.target, box.images, box.labels, box.fields[1], D, threads)[0]
        table.add("SciPy map_coordinates, NumPy", 1, lambda: scipy_warp_and_numpy_fuse(box), box, 1,
                  warp_floors_ns[1], dseg)  # fmt: skip
        box = cases.box(ANTS_BOX, ANTS_CASES)
        dseg = fuse(box.target, box.images, box.labels, D, threads)[0]
        table.add("ants.joint_label_fusion", 1, ants_fuse(box), box, 1, floor_ns, dseg)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 160, 160), help="even numbers of voxels")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.environ[ITK_THREADS] = "2"
    torch.set_num_threads(2)
    cases = make_cases(tuple(arguments.shape), arguments.cases)
    mixed = np.zeros(cases.target.shape, dtype=bool)
    for of_case in cases.labels:
        mixed |= of_case != cases.labels[0]
    print(f"SIMD {_kernels.SIMD}, OpenMP {_kernels.OPENMP}; labelled {np.mean(cases.labels[0] > 0):.1%}, ", end="")
    print(f"mixed voxels {mixed.mean():.1%}\n")
    table = Table()
    for threads in (1, 2):
        measure(cases, threads, arguments.repeats, table)
    frame = pd.DataFrame(table.rows)
    print(f"\n{frame.to_string(index=False)}")
    write_table(frame, arguments.out)


if __name__ == "__main__":
    main()
