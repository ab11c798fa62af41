"""1 mm beside 0.5 mm, T1w beside T1w and T2w, true beside made-up images: Tables 4 and 10 in shape.

    python -m benchmarks.accuracy.known_scans DATA TEST/fine --persons 3 --heads 13,14 --images-per-person 2 \
        --voxel-mm 0.7
    python -m benchmarks.accuracy.resolutions TEST LIB.zarr TRAINED HELPERS --out TABLE.tsv

TEST/plain holds the same people in the same heads at 1 mm. TRAINED is the output of `train_folds.py` and
`train_half.py`, HELPERS that of `train_helpers.py`; no network has seen the person. One DPN pair each, the refined one
at 0.5 mm, in bfloat16. Scans of 0.7 mm (as the paper's) are prepared at 1 mm (standard resolution) and at 0.5 mm (high
resolution); scans of 1 mm at 0.5 mm, interpolated or by super-resolution, with no T2w or with one that was made up. The
atlas is made at 1 mm, each of its voxels cut in eight at 0.5 mm. Dice on the grid of the run, and on that of 0.5 mm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.accuracy.held_out import KnownScan, made_ready
from benchmarks.common.tables import write_table
from cerebatch.io.images import read_voxels
from cerebatch.measures.overlap import dice, mean_dice
from cerebatch.networks.auxiliary.loading import load_helper
from cerebatch.networks.auxiliary.t2synth import synthesised_t2w
from cerebatch.networks.card import Architecture
from cerebatch.networks.ensemble import load
from cerebatch.networks.inputs import brain_region
from cerebatch.spatial.space import LabelMap, Volume
from cerebatch.stages.prepare import prepare
from recipes.train_folds import ENSEMBLE_PERSON
from recipes.train_half import cut_in_eight

HALF = 0.5


@dataclass(frozen=True)
class Way:
    """How a scan goes to the networks."""

    name: str
    image: KnownScan
    resolution: float
    t1w: Volume
    t2w: Volume | None
    atlas: LabelMap

    @property
    def architecture(self) -> Architecture:
        """Of the pair that looks at it."""
        return "dpn" if self.resolution == 1 else "dpn-refined"


def main() -> None:
    """Prepare, segment, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", type=Path)
    parser.add_argument("library", type=Path, help="at 1 mm")
    parser.add_argument("trained", type=Path)
    parser.add_argument("helpers", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for folder in sorted((options.tests / "fine").glob("sub-*")):
        fine, plain = (KnownScan(options.tests / name, folder.name) for name in ("fine", "plain"))
        for image in (fine, plain):
            print(f"ready: {made_ready(image, options.library)}", flush=True)
        for way in ways(fine, plain, options.helpers):
            weights = options.trained / ("" if way.resolution == 1 else "half") / f"folds/{ENSEMBLE_PERSON}"
            networks = load(weights)
            pair = networks.segment(way.t1w, way.t2w, way.atlas, precision="bfloat16").by_architecture[way.architecture]
            on_run, truth = way.image.truth(way.resolution), way.image.truth(HALF)
            refined = cut_in_eight(pair) if way.resolution == 1 else pair
            rows.append(
                {
                    "case": fine.subject,
                    "way": way.name,
                    "dice": mean_dice(pair, on_run),
                    "whole": dice(pair > 0, on_run > 0),
                    "dice_at_half": mean_dice(refined, truth),
                    "whole_at_half": dice(refined > 0, truth > 0),
                }
            )
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    write_table(table, options.out)
    print(table.groupby("way", sort=False).mean(numeric_only=True).round(3).to_string())


def ways(fine: KnownScan, plain: KnownScan, helpers: Path) -> Iterator[Way]:
    """Rows of both tables."""
    t1w, t2w, atlas = fine.volume("T1w"), fine.volume("T2w"), fine.atlas
    yield Way("1 mm, T1w", fine, 1, t1w, None, atlas)
    yield Way("1 mm, T1w and T2w", fine, 1, t1w, t2w, atlas)
    atlas = cut_in_eight(atlas)
    at_half_t1w, at_half_t2w = at_half(fine, "half", t2w=True)
    yield Way("0.5 mm, T1w", fine, HALF, at_half_t1w, None, atlas)
    yield Way("0.5 mm, T1w and T2w", fine, HALF, at_half_t1w, at_half_t2w, atlas)
    synthesis = load_helper(helpers / "t2synth-half/t2synth.safetensors", "t2synth")
    atlas = cut_in_eight(plain.atlas)
    for how, superres in (("interpolated", None), ("super-resolution", helpers / "superres/superres.safetensors")):
        t1w, _ = at_half(plain, how, superres=superres)
        yield Way(f"0.5 mm from 1 mm, {how}, T1w", plain, HALF, t1w, None, atlas)
        made_up = synthesised_t2w(synthesis, t1w, brain_region(HALF))
        yield Way(f"0.5 mm from 1 mm, {how}, T1w and made-up T2w", plain, HALF, t1w, made_up, atlas)


def at_half(
    image: KnownScan, how: str, *, t2w: bool = False, superres: Path | None = None
) -> tuple[Volume, Volume | None]:
    """The scan prepared at 0.5 mm; kept beside what was made of it at 1 mm."""
    work = image.work / how.replace(" ", "-")
    if not (work / "prepared.json").exists():
        work.mkdir(parents=True, exist_ok=True)
        scans = [image.dataset / image.subject / "anat" / f"{image.subject}_{name}.nii.gz" for name in ("T1w", "T2w")]
        prepare(scans[0], work, t2w=scans[1] if t2w else None, resolution=HALF, superres=superres)
    return read_voxels(work / "T1w.nii.gz"), read_voxels(work / "T2w.nii.gz") if t2w else None


if __name__ == "__main__":
    main()
