"""Networks on people they never saw: the test images through `prepare`, the atlas and the networks of each fold.

    python -m benchmarks.accuracy.known_scans DATA TEST/plain --images-per-person 2
    python -m benchmarks.accuracy.known_scans DATA TEST/erased --images-per-person 2 --erased
    python -m benchmarks.accuracy.known_scans DATA TEST/blind --images-per-person 2 --arm blind
    python -m benchmarks.accuracy.known_scans DATA TEST/filled --images-per-person 2 --arm filled
    python -m benchmarks.accuracy.held_out TEST LIB.zarr FOLDS --out TABLE.tsv

FOLDS holds a folder of weights for each person, `FOLDS/subject-N/`, trained without this person (and without the heads
of the test images). TEST/plain is scored, and TEST/erased, TEST/blind and TEST/filled where they are there: the arms of
`cerebatch.simulation.scenes.arms`. Each image goes the way of a scan: `prepare`, the atlas of 20 cases of other people
in other heads, the networks. The truth is brought into the box by the affine that `prepare` found. Compared are

    majority   most frequent label of all other people in other heads, as they lie in the box
    atlas      the subject-specific atlas alone
    erased     the networks on the same head with all borders inside the cerebellum erased, and its own atlas
    full       the networks on T1w, T2w and atlas; further rows leave channels out or put the T1w in the T2w's place

Networks compute in bfloat16. What was prepared is kept in TEST/work and used again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.majority import majority
from benchmarks.common.tables import write_table
from cerebatch.atlas.similar import LeaveOut
from cerebatch.atlas.subject_atlas import make_atlas
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labels import LABELS
from cerebatch.library.store import open_library
from cerebatch.measures.overlap import dice, dice_by_structure, mean_dice
from cerebatch.networks.card import Architecture
from cerebatch.networks.ensemble import Ensemble, Segmentation, load
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box, inverse, resample_labels
from cerebatch.stages.prepare import Prepared, prepare

KINDS = ("plain", "erased", "blind", "filled")


@dataclass(frozen=True)
class KnownScan:
    """One simulated scan of a dataset."""

    dataset: Path
    subject: str

    @property
    def person(self) -> str:
        """As the library names the map."""
        return f"subject-{self.subject.removeprefix('sub-subject').partition('head')[0]}"

    @property
    def head(self) -> str:
        """As the library names the head."""
        return f"head-{self.subject.partition('head')[2]}"

    @property
    def work(self) -> Path:
        """Where what was made of it is kept."""
        return self.dataset.parent / "work" / self.dataset.name / self.subject

    def volume(self, contrast: str) -> Volume:
        """Prepared image in the box."""
        return read_voxels(self.work / f"{contrast}.nii.gz")

    @property
    def atlas(self) -> LabelMap:
        """Subject-specific atlas in the box."""
        with np.load(self.work / "atlas.npz") as file:
            dseg: LabelMap = file["dseg"]
        return dseg

    def truth(self, resolution: float) -> LabelMap:
        """True labels in the box."""
        folder = self.dataset / "derivatives/test-truth" / self.subject / "anat"
        dseg, grid = read_dseg(folder / f"{self.subject}_seg-lobules_dseg.nii.gz")
        native_from_mni = inverse(Prepared.read(self.work).affine)
        return resample_labels(dseg, grid, cerebellum_box(resolution), native_from_mni)


def main() -> None:
    """Prepare, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--only", nargs="*", help="people to score, e.g. subject-3")
    parser.add_argument("--heads", nargs="*", help="heads to score, e.g. head-13")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    images = [
        KnownScan(options.tests / kind, folder.name)
        for kind in KINDS
        for folder in sorted((options.tests / kind).glob("sub-*"))
    ]
    images = [
        one
        for one in images
        if (not options.only or one.person in options.only) and (not options.heads or one.head in options.heads)
    ]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for name in pool.map(made_ready, images, [options.library] * len(images)):
            print(f"ready: {name}", flush=True)
    rows = [
        row for one in images if one.dataset.name != "erased" for row in scores(one, options.library, options.folds)
    ]
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(f"{len(set(table['case']))} images; mean Dice over 24 structures by person, and of the whole cerebellum")
    by = ["images", "method"]
    print(table.pivot_table(index=by, columns="person", values="dice", margins=True, sort=False).round(3).to_string())
    print(table.groupby(by, sort=False)["whole"].mean().round(3).to_string())
    named = table[table["method"].str.endswith(("atlas", "full", "erased")) & ~table["method"].str.contains(",")]
    named = named[named["images"] == "plain"]
    by_structure = named.groupby("method", sort=False)[[label.name for label in LABELS]].mean().T
    print("\nby structure, all images")
    print(by_structure.round(3).to_string())


def made_ready(image: KnownScan, library_path: Path) -> str:
    """Prepare an image and make its atlas, where that was not done before."""
    anat, work = image.dataset / image.subject / "anat", image.work
    work.mkdir(parents=True, exist_ok=True)
    library = open_library(library_path)
    if not (work / "prepared.json").exists():
        t1w, t2w = (anat / f"{image.subject}_{contrast}.nii.gz" for contrast in ("T1w", "T2w"))
        prepare(t1w, work, t2w=t2w, resolution=library.resolution)
    atlas = work / "atlas.npz"
    if not atlas.exists():
        leave_out = LeaveOut((image.person,), (image.head,))
        made = make_atlas(image.volume("T1w"), library, leave_out=leave_out)
        np.savez_compressed(atlas, dseg=made.dseg)
    return f"{image.dataset.name} {image.subject}"


def scores(image: KnownScan, library_path: Path, folds: Path) -> Iterator[dict[str, object]]:
    """One row a method."""
    library = open_library(library_path)
    truth = image.truth(library.resolution)
    erased = KnownScan(image.dataset.with_name("erased"), image.subject)
    found: dict[str, LabelMap] = {
        "majority": majority(library, LeaveOut((image.person,), (image.head,))),
        "atlas": image.atlas,
    }
    folder = folds / image.person
    architectures: tuple[Architecture, ...] = ("dpn", "unet", "unet-s2d")
    there = [name for name in architectures if (folder / f"{name}-lobules.safetensors").exists()]
    if there:
        whole = load(folder)
        for what, said in segmented(whole, image, erased):
            found |= {f"{name} {what}": dseg for name, dseg in said.by_architecture.items()}
            if len(there) > 1:
                found[f"ensemble {what}"] = said.dseg
    for method, dseg in found.items():
        yield {
            "case": image.subject,
            "images": image.dataset.name,
            "person": image.person,
            "method": method,
            "dice": mean_dice(dseg, truth),
            "whole": dice(dseg > 0, truth > 0),
            **dict(zip((label.name for label in LABELS), dice_by_structure(dseg, truth), strict=True)),
        }


def segmented(networks: Ensemble, image: KnownScan, erased: KnownScan) -> Iterator[tuple[str, Segmentation]]:
    """Name of each way to ask the networks, and what they say."""
    t1w, t2w, atlas = image.volume("T1w"), image.volume("T2w"), image.atlas
    ask = partial(networks.segment, precision="bfloat16")
    yield "full", ask(t1w, t2w, atlas)
    if image.dataset.name != "plain":
        return
    if erased.work.exists():
        yield "erased", ask(erased.volume("T1w"), erased.volume("T2w"), erased.atlas)
    yield "T1w, atlas", ask(t1w, None, atlas)
    yield "T1w, T2w", ask(t1w, t2w)
    yield "T1w", ask(t1w)
    yield "T1w twice, atlas", ask(t1w, t1w, atlas)
    yield "T2w, atlas", ask(t2w, None, atlas)


if __name__ == "__main__":
    main()
