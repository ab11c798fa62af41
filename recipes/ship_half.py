"""Weights of 0.5 mm as cerebatch ships them: like `ship_weights.py`, with the scores of `resolutions.py`.

    python -m recipes.ship_half TRAINED/half/shipped cerebatch/networks/weights/0.5mm --table TABLE.tsv --tests TEST

Both versions, in float32 and in float16, label the first test image that `resolutions.py` prepared.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.accuracy.held_out import KnownScan
from benchmarks.accuracy.resolutions import at_half
from recipes.ship_weights import ship
from recipes.train_half import cut_in_eight


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--tests", type=Path, required=True)
    options = parser.parse_args()
    scores = told_scores(pd.read_csv(options.table, sep="\t"))
    image = KnownScan(options.tests / "fine", min((options.tests / "fine").glob("sub-*")).name)
    t1w, t2w = at_half(image, "half", t2w=True)
    ship(options.trained, options.out, lambda _: scores, [(t1w, t2w, cut_in_eight(image.atlas))])


def told_scores(table: pd.DataFrame) -> dict[str, object]:
    """Mean Dice on the grid of 0.5 mm by what the networks were given, those of 1 mm among them."""
    return {
        "measured": f"a pair of the same recipe, on {table['case'].nunique()} simulated scans of a person that it "
        "never saw; benchmarks/accuracy/resolutions.py",
        "mean Dice at 0.5 mm": table.groupby("way", sort=False)["dice_at_half"].mean().round(4).to_dict(),
    }


if __name__ == "__main__":
    main()
