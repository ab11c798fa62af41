"""Weights as cerebatch ships them: half the bytes, and cards that tell how the same recipe scored on other people.

    python -m recipes.ship_weights NETWORKS/shipped cerebatch/networks/weights/1mm --table held_out.tsv --images TEST

The table is that of `held_out.py`: networks of the same recipe, each trained without the person that it is tested on.
What is shipped was trained on all people, so that nobody is left to test it on. On prepared images both versions
label the same scans; their Dice with each other is printed, and nothing is written if it is below 0.995 anywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch

from benchmarks.accuracy.held_out import KnownScan
from cerebatch.measures.overlap import mean_dice
from cerebatch.networks.card import Card
from cerebatch.networks.ensemble import load
from cerebatch.networks.folder import read_cards
from cerebatch.networks.weights import read_network, write_weights
from cerebatch.spatial.space import LabelMap, Volume

Scores = Callable[[Card], dict[str, object]]

LEAST_DICE = 0.995
STORED = torch.float16
METHODS = ("full", "blind", "T1w, atlas", "T1w, T2w", "T1w")


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2, help="images that both versions label")
    options = parser.parse_args()
    scores = pd.read_csv(options.table, sep="\t")
    folders = sorted((options.images / "work/plain").glob("sub-*"))[: options.count]
    images = [KnownScan(options.images / "plain", folder.name) for folder in folders]
    ship(
        options.trained,
        options.out,
        lambda card: told_scores(scores, card.architecture),
        [(image.volume("T1w"), image.volume("T2w"), image.atlas) for image in images],
    )


def ship(trained: Path, out: Path, scores: Scores, images: Sequence[tuple[Volume, Volume | None, LabelMap]]) -> None:
    """Write weights in half precision, if they say of all images (T1w, T2w, atlas) what the whole ones say."""
    with TemporaryDirectory() as name:
        half = Path(name)
        write_half(trained, half, scores)
        agreements = [agreement(trained, half, *image) for image in images]
    print(f"Dice of both versions with each other: {', '.join(f'{one:.4f}' for one in agreements)}")
    if min(agreements) < LEAST_DICE:
        sys.exit(f"below {LEAST_DICE}: nothing was written")
    write_half(trained, out, scores)
    size = sum(path.stat().st_size for path in out.glob("*.safetensors"))
    print(f"wrote {out}: {size / 1e6:.1f} MB")


def write_half(trained: Path, out: Path, scores: Scores) -> None:
    """Weights in half precision, with the scores of their recipe in the cards."""
    for card in read_cards(trained):
        told = card.model_copy(update={"scores": scores(card)})
        write_weights(out, read_network(trained / f"{card.stem}.safetensors"), told, STORED)


def told_scores(scores: pd.DataFrame, architecture: str) -> dict[str, object]:
    """Mean Dice over 24 structures by what the networks were given, beside the baselines, and how it was measured.

    Methods that were measured on the same people stand together, so that their means can be compared.
    """
    people = scores.groupby("method")["person"].agg(lambda of: ", ".join(sorted(set(of))))
    wanted = [f"{who} {what}" for who in (architecture, "ensemble") for what in METHODS]
    told: dict[str, object] = {}
    for group in sorted({people[name] for name in wanted if name in people}):
        own = scores[scores["person"].isin(group.split(", "))]
        means = own.groupby("method")["dice"].mean().round(4)
        there = [name for name in ("majority", "atlas", *wanted) if group in people.get(name, "")]
        told[f"{group}: {own['case'].nunique()} simulated scans"] = {name: float(means[name]) for name in there}
    return {
        "measured": "each person by networks of the same recipe trained without this person; "
        "benchmarks/accuracy/held_out.py",
        "mean Dice": told,
    }


def agreement(one: Path, other: Path, t1w: Volume, t2w: Volume | None, atlas: LabelMap) -> float:
    """Mean Dice of what two folders of weights say of an image."""
    said = []
    for folder in (one, other):
        load.cache_clear()
        said.append(load(folder).segment(t1w, t2w, atlas).dseg)
    return mean_dice(*said)


if __name__ == "__main__":
    main()
