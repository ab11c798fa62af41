"""Table 6: Dice of each architecture, with and without the atlas, on perturbed test images.

    python -m benchmarks.accuracy.perturbations TEST LIB.zarr FOLDS --person subject-3 --out TABLE.tsv

TEST and FOLDS are those of `held_out.py`, which has prepared the images. TorchIO's six transforms, with their own
default strengths, act on the prepared T1w and T2w alike; the atlas is made from the image as it was. The last two rows
of each architecture are the image as it was, and the T1w in the T2w's place (table 5).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torchio as tio

from benchmarks.accuracy.held_out import KnownScan
from benchmarks.common.tables import write_table
from cerebatch.measures.overlap import mean_dice
from cerebatch.networks.ensemble import Ensemble, load
from cerebatch.spatial.space import LabelMap, Volume

TRANSFORMS: dict[str, Callable[[tio.Subject], tio.Subject]] = {
    "anisotropy": tio.RandomAnisotropy(),
    "bias field": tio.RandomBiasField(),
    "blur": tio.RandomBlur(),
    "deformation": tio.RandomElasticDeformation(),
    "gamma": tio.RandomGamma(),
    "ghosting": tio.RandomGhosting(),
}


def main() -> None:
    """Perturb, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--person", default="subject-3")
    parser.add_argument("--times", type=int, default=2, help="each transform on each image")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    images = [KnownScan(options.tests / "plain", path.name) for path in sorted((options.tests / "plain").glob("sub-*"))]
    images = [one for one in images if one.person == options.person and (one.work / "atlas.npz").exists()]
    whole = load(options.folds / options.person)
    rows = [
        {"case": image.subject, "perturbation": name, **dices(whole, t1w, t2w, atlas, truth)}
        for image in images
        for name, t1w, t2w, atlas, truth in perturbed(image, whole.resolution, options.times)
    ]
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(f"{len(images)} images of {options.person}; mean Dice over 24 structures")
    print(table.groupby("perturbation", sort=False).mean(numeric_only=True).round(3).T.to_string())


def perturbed(
    image: KnownScan, resolution: float, times: int
) -> Iterator[tuple[str, Volume, Volume, LabelMap, LabelMap]]:
    """Name, T1w, T2w, atlas and truth of each variant; a deformation moves the truth and the atlas, too."""
    t1w, t2w, truth = image.volume("T1w"), image.volume("T2w"), image.truth(resolution)
    atlas = image.atlas
    for name, transform in TRANSFORMS.items():
        for turn in range(times):
            torch.manual_seed(1000 * turn + len(name))
            moved: Any = transform(
                tio.Subject(
                    t1w=tio.ScalarImage(tensor=torch.from_numpy(t1w)[None]),
                    t2w=tio.ScalarImage(tensor=torch.from_numpy(t2w)[None]),
                    atlas=tio.LabelMap(tensor=torch.from_numpy(atlas)[None]),
                    truth=tio.LabelMap(tensor=torch.from_numpy(truth)[None]),
                )
            )
            images = (moved[key].data[0].numpy().astype(np.float32) for key in ("t1w", "t2w"))
            labels = (moved[key].data[0].numpy().astype(np.uint8) for key in ("atlas", "truth"))
            yield name, *images, *labels
    yield "none", t1w, t2w, atlas, truth
    yield "T1w in the T2w's place", t1w, t1w, atlas, truth


def dices(whole: Ensemble, t1w: Volume, t2w: Volume, atlas: LabelMap, truth: LabelMap) -> dict[str, float]:
    """Mean Dice of each architecture and of the ensemble, with and without the atlas."""
    found: dict[str, float] = {}
    for what, votes in (("with atlas", atlas), ("without", None)):
        said = whole.segment(t1w, t2w, votes, precision="bfloat16")
        for name, dseg in {**said.by_architecture, "ensemble": said.dseg}.items():
            found[f"{name} {what}"] = mean_dice(dseg, truth)
    return found


if __name__ == "__main__":
    main()
