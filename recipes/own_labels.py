"""Own labels of real scans: what an atlas and the networks say of scans that nobody labelled, to learn from.

    python -m recipes.own_labels LIBRARY.zarr SCANS PREPARED OUT sub-brain33 sub-1002

SCANS is a BIDS dataset, of which what is missing in PREPARED is prepared (30 s a scan). Of each scan `OUT/NAME/` gets

    opinions.nii.gz    on the cerebellum box: labels of the networks that saw the atlas, and labels of the atlas
    fields/CASE.npz    the displacement that brought each library case onto the scan, for heads of this shape

Seven seconds of one core a registration. Names that are there already are left. LIBRARY has 1 mm, and none of its
people may be one that the trained network is tested on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from cerebatch.atlas.registering import compared_region, register_cases
from cerebatch.atlas.similar import most_similar
from cerebatch.atlas.subject_atlas import DISTANCE_WEIGHT, fuse_cases
from cerebatch.io.atomic import written_whole
from cerebatch.io.bids import find_cases
from cerebatch.io.files import write_image
from cerebatch.io.images import read_voxels
from cerebatch.library.store import Library, open_library
from cerebatch.networks.ensemble import Ensemble, load
from cerebatch.networks.folder import shipped_weights
from cerebatch.spatial.space import cerebellum_box
from cerebatch.stages.prepare import prepare

CASES = 10
"""Library cases that an atlas is voted by."""

EVALUATION = ("whole02", "brain01", "brain30", "bert", "testy", "1001", "1004", "1018", "1019", "1119", "1125")
"""People that nothing is trained on."""


def main() -> None:
    """Label what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--weights", type=Path, default=shipped_weights(1.0))
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    if kept_apart := [name for name in options.names if name.removeprefix("sub-").split("_")[0] in EVALUATION]:
        raise SystemExit(f"{', '.join(kept_apart)}: for evaluation alone; nothing learns from them.")
    library, networks = open_library(options.library), load(options.weights)
    torch.set_num_threads(1)
    for name in options.names:
        if not (options.prepared / name / "prepared.json").exists():
            _prepare(options.scans, name, options.prepared / name)
        if not (options.out / name / "opinions.nii.gz").exists():
            label(options.prepared / name, library, networks, options.out / name, options.cases)
            print(name, flush=True)


def _prepare(scans: Path, name: str, folder: Path) -> None:
    cohort = find_cases(scans, participants=(name.removeprefix("sub-"),))
    folder.mkdir(parents=True, exist_ok=True)
    prepare(cohort.cases[0].t1w, folder)


def label(prepared: Path, library: Library, networks: Ensemble, out: Path, count: int) -> None:
    """Write opinions and fields of one scan."""
    t1w, region = read_voxels(prepared / "T1w.nii.gz"), compared_region(library)
    chosen = most_similar(t1w, library, count)
    images, labels = [library.image(k, "T1w") for k in chosen], [library.dseg(k) for k in chosen]
    fields = register_cases(t1w, images, region, library.resolution)
    atlas, _ = fuse_cases(t1w, images, labels, fields, region, DISTANCE_WEIGHT)
    found = networks.segment(t1w, None, atlas, precision="bfloat16").dseg
    (out / "fields").mkdir(parents=True, exist_ok=True)
    for k, field in zip(chosen, fields, strict=True):
        with written_whole(out / "fields" / f"{library.names[k]}.npz") as unfinished, unfinished.open("wb") as stream:
            np.savez_compressed(stream, field=field.astype(np.float16))
    write_image(out / "opinions.nii.gz", np.stack([found, atlas], axis=-1), cerebellum_box(1.0), "MNI")


if __name__ == "__main__":
    main()
