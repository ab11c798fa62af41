"""Labelled cases bent onto real scans: do they look like them?

    python -m benchmarks.speed.augment rate LIB.zarr RUN_DIR SET.zarr
    python -m benchmarks.accuracy.augmented_scans SET.zarr RUN_DIR [--freesurfer SUB=DSEG]
        [--library LIB.zarr --picture PNG]

RUN_DIR is the output of `cerebatch run` on the scans, at the resolution of the set. Printed are the checks of each
case. The picture has a row a scan: the target, the library case as it was, the bent case, and the bent case's outline
on the target. With --freesurfer the labels of the bent case are carried to that scan's own grid and its cerebellum
(codes 7, 8, 46, 47) compared, closed by 2 mm and raw.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.accuracy.real_scans import compare
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_codes
from cerebatch.library.augmented.layout import VOLUMES, open_set
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.layout import array_of
from cerebatch.library.store import open_library
from cerebatch.spatial.ants_bridge import read_affine
from cerebatch.spatial.space import TEMPLATE_SPACE, Affine, inverse, resample_labels

SHOWN = (
    "similarity_before", "similarity_after", "jacobian_min", "jacobian_p01", "jacobian_p99", "folded_share",
)  # fmt: skip
SLICE_AT = 0.45
"""Of the box along each axis."""


def main() -> None:
    """Print, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--library", type=Path, help="for the picture")
    parser.add_argument("--freesurfer", action="append", default=[], metavar="NAME=DSEG")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    store = open_augmented(options.set)
    print("\t".join(["target", "status", "source", *SHOWN, "whole_ratio"]))
    group = open_set(options.set)
    before, after = (np.asarray(array_of(group, volumes)[...]).sum(axis=1) for volumes in VOLUMES)
    for k, name in enumerate(store.names):
        row = [name, store.columns["status"][k], store.columns["source"][k]]
        row += [f"{store.columns[column][k]:.4f}" for column in SHOWN]
        print("\t".join([*row, f"{after[k] / before[k]:.3f}"]))
    for pair in options.freesurfer:
        name, path = pair.split("=", 1)
        _, grid = read_codes(Path(path))
        dseg = store.dseg(store.names.index(name))
        compare(name, resample_labels(dseg, store.grid, grid, mni_from_native(options.run, name)), grid, Path(path))
    if options.picture:
        draw(store, options.run, options.library, options.picture)


def mni_from_native(run: Path, name: str) -> Affine:
    """The affine that the run found, points to points."""
    (path,) = (run / name).glob(f"anat/{name}_from-T1w_to-{TEMPLATE_SPACE}_mode-image_xfm.txt")
    return inverse(read_affine(path))


def draw(store: AugmentedSet, run: Path, library_path: Path, path: Path) -> None:
    """A row a scan."""
    library = open_library(library_path)
    figure = Figure(figsize=(4 * 3 * 1.5, 1.5 * len(store.usable)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(store.usable), 4 * 3, squeeze=False)
    for row, k in zip(axes, store.usable, strict=True):
        name = store.names[k]
        target = read_voxels(next((run / name).glob("anat/*_desc-preproc_T1w.nii.gz")))
        before = library.image(library.names.index(store.columns["source"][k]), "T1w")
        after, labels = store.image(k, "T1w"), store.dseg(k)
        for place, (what, image) in enumerate(
            (("target", target), ("case", before), ("bent", after), ("outline", target))
        ):
            for axis in range(3):
                at = int(SLICE_AT * image.shape[axis])
                one = row[3 * place + axis]
                one.imshow(image.take(at, axis).T, cmap="gray", vmin=0, vmax=330, origin="lower")
                if what == "outline":
                    one.contour((labels > 0).take(at, axis).T, [0.5], colors="red", linewidths=0.6)
                one.set_axis_off()
        row[0].set_title(f"{name}: target, case, bent, outline", fontsize=6, loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
