"""Super-resolution on real scans that it never saw, beside linear and B-spline interpolation.

    python -m benchmarks.accuracy.superres superres.safetensors DATA/scans RUN --participants brain16 brain22 \
        --pictures DIR

Each scan is the truth; means of 2 x 2 x 2 of its voxels are what a scanner with voxels twice as long would have seen,
and each way brings these back to the scan's grid. PSNR and SSIM (scikit-image, which `pip install scikit-image` gives)
are taken inside the cerebellum: the labels of RUN, an output of `cerebatch run` on the same scans, and 2 mm around
them. The peak is the 99.9th percentile of the scan there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import structural_similarity

from benchmarks.common.tables import write_table
from cerebatch.io.scan import read_scan
from cerebatch.networks.auxiliary.loading import load_helper
from cerebatch.networks.auxiliary.superres import FACTOR, refined
from cerebatch.spatial.space import Volume

_AROUND_MM = 2.0


def main() -> None:
    """Compare, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--participants", nargs="+", required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    network = load_helper(options.weights, "superres")
    rows = []
    for name in options.participants:
        truth, inside = scan_and_cerebellum(options.scans, options.run, name)
        seen = coarse(truth)
        found = {
            "linear": interpolated(seen, 1),
            "B-spline": interpolated(seen, 3),
            "network": refined(network, seen),
        }
        peak = float(np.percentile(truth[inside], 99.9))
        rows += [{"scan": name, "way": way, **figures(truth, image, inside, peak)} for way, image in found.items()]
        if options.pictures is not None:
            draw(options.pictures / f"{name}.png", truth, found, inside, peak)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    table = table.pivot(index="scan", columns="way", values=["PSNR, dB", "SSIM"])
    table.loc["mean"] = table.mean()
    print(table.round(3).to_string())


def scan_and_cerebellum(scans: Path, run: Path, name: str) -> tuple[Volume, NDArray[np.bool_]]:
    """Block of a scan around its cerebellum, even sides, and where the cerebellum is."""
    (t1w,) = scans.glob(f"sub-{name}/**/anat/*_T1w.nii.gz")
    (dseg,) = run.glob(f"sub-{name}/**/anat/sub-{name}_seg-lobules_dseg.nii.gz")
    scan = read_scan(t1w)
    labelled = np.asarray(nib.as_closest_canonical(nib.load(dseg)).dataobj) > 0
    inside = ndimage.distance_transform_edt(~labelled, sampling=scan.grid.voxel_sizes_mm) <= _AROUND_MM
    (box,) = ndimage.find_objects(inside.astype(np.uint8))
    block = tuple(slice(max(0, side.start - 8) // 2 * 2, (side.stop + 8) // 2 * 2) for side in box)
    block = tuple(slice(side.start, min(side.stop, n // 2 * 2)) for side, n in zip(block, inside.shape, strict=True))
    return np.ascontiguousarray(scan.image[block]), inside[block]


def coarse(image: Volume) -> Volume:
    """Means of 2 x 2 x 2 voxels."""
    x, y, z = (n // FACTOR for n in image.shape)
    return image.reshape(x, FACTOR, y, FACTOR, z, FACTOR).mean(axis=(1, 3, 5))


def interpolated(image: Volume, order: int) -> Volume:
    """A B-spline through the coarse voxels, at the centres of the fine ones."""
    return ndimage.zoom(image, FACTOR, order=order, mode="nearest", grid_mode=True)


def figures(truth: Volume, image: Volume, inside: NDArray[np.bool_], peak: float) -> dict[str, float]:
    """PSNR and mean SSIM inside the cerebellum."""
    error = float(np.mean((truth[inside] - image[inside]) ** 2))
    _, similar = structural_similarity(truth, image, data_range=peak, full=True)
    return {"PSNR, dB": 10 * np.log10(peak**2 / error), "SSIM": float(similar[inside].mean())}


def draw(path: Path, truth: Volume, found: dict[str, Volume], inside: NDArray[np.bool_], peak: float) -> None:
    """A sagittal slice beside the midline: the scan, each way, and below it what it misses."""
    x = int(np.argwhere(inside.any(axis=(1, 2))).mean()) + 12
    figure = Figure(figsize=(4 * (len(found) + 1), 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(found) + 1)
    for column, (name, image) in enumerate({"scan": truth, **found}.items()):
        axes[0, column].imshow(image[x].T, cmap="gray", origin="lower", vmin=0, vmax=peak)
        axes[0, column].set_title(name)
        if name != "scan":
            miss = (image - truth)[x].T
            axes[1, column].imshow(miss, cmap="RdBu_r", origin="lower", vmin=-0.2 * peak, vmax=0.2 * peak)
    for one in axes.ravel():
        one.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
