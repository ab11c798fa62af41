"""T2 synthesis on real people with both images: how near the made-up T2w comes, inside the cerebellum.

    python -m benchmarks.accuracy.t2_synthesis t2synth.safetensors RUN --participants pair07 --pictures DIR

RUN is an output of `cerebatch run` with both images of these people. Compared is where the run found labels, and these
with 2 mm around them. The baseline is the T1w turned over: the line of the real T2w on the T1w, fitted in this very
place, which is more than it could know. The network's image is also shown after such a line, which takes away what the
scanner's own contrast decides. What brain extraction cut from either image is not compared: there both are zero, and a
T1w turned over is bright.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import ndimage

from benchmarks.common.tables import write_table
from cerebatch.networks.auxiliary.loading import load_helper
from cerebatch.networks.auxiliary.t2synth import synthesised_t2w
from cerebatch.networks.inputs import brain_region
from cerebatch.spatial.space import Volume

_AROUND_MM = 2.0
_LEAST_SIGNAL = 0.05
"""Of the cerebellum's median; resampling rings a little where brain extraction left zero."""


def main() -> None:
    """Compare, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--participants", nargs="+", required=True)
    parser.add_argument("--resolution", type=float, default=1.0, choices=(1.0, 0.5))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    network = load_helper(options.weights, "t2synth")
    rows = []
    for name in options.participants:
        anat = next(options.run.glob(f"sub-{name}/**/anat"))
        t1w, t2w = (voxels(anat, f"*desc-preproc_{contrast}.nii.gz") for contrast in ("T1w", "T2w"))
        labelled = voxels(anat, "*_space-*_seg-lobules_res-*_dseg.nii.gz") > 0
        scanned = np.logical_and(*(image > _LEAST_SIGNAL * np.median(image[labelled]) for image in (t1w, t2w)))
        around = ndimage.binary_dilation(labelled, iterations=round(_AROUND_MM / options.resolution))
        made = synthesised_t2w(network, t1w, brain_region(options.resolution))
        for where, region in (("labels", labelled), ("2 mm around", around)):
            inside = region & scanned
            images = {
                "network": made,
                "network, after a line": fitted(made, t2w, inside),
                "T1w turned over": fitted(t1w, t2w, inside),
            }
            rows += [
                {"person": name, "where": where, "way": way, **figures(t2w, image, inside)}
                for way, image in images.items()
            ]
        if options.pictures is not None:
            seen = {"T1w": t1w, "T2w": t2w} | {way: image * scanned for way, image in images.items()}
            draw(options.pictures / f"{name}.png", seen, inside)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(table.round(3).to_string(index=False))


def voxels(anat: Path, pattern: str) -> Volume:
    """The one image of this name."""
    (path,) = [path for path in anat.glob(pattern) if "withfolia" not in path.name]
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


def fitted(image: Volume, truth: Volume, inside: np.ndarray) -> Volume:
    """The image on the straight line that brings it nearest to the truth."""
    return np.polyval(np.polyfit(image[inside].astype(np.float64), truth[inside].astype(np.float64), 1), image)


def figures(truth: Volume, image: Volume, inside: np.ndarray) -> dict[str, float]:
    """Correlation, and root mean square of the error in standard deviations of the truth."""
    error = float(np.sqrt(np.mean((image - truth)[inside] ** 2)))
    return {
        "correlation": float(np.corrcoef(image[inside], truth[inside])[0, 1]),
        "error, SD": error / float(truth[inside].std()),
    }


def draw(path: Path, images: dict[str, Volume], inside: np.ndarray) -> None:
    """One coronal slice of each image."""
    y = int(np.argwhere(inside.any(axis=(0, 2))).mean())
    figure = Figure(figsize=(4 * len(images), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        high = float(np.percentile(image[inside], 99.5))
        axes.imshow(image[:, y].T, cmap="gray", origin="lower", vmin=0, vmax=high)
        axes.set_title(name)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
