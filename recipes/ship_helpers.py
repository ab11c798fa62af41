"""Networks beside the ensemble as cerebatch ships them: half the bytes, and cards that tell what was measured.

    python -m recipes.ship_helpers TRAINED/shipped TABLES cerebatch/networks/weights
    python -m recipes.ship_helpers TRAINED/t2synth-half TABLES/half cerebatch/networks/weights/0.5mm

TABLES holds the tables of `icv.py`, `superres.py`, `t2_synthesis.py` and `deep_registration.py` as `icv.tsv`,
`superres.tsv`, `t2synth.tsv` and `registration.tsv`. A network without a table is not shipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import torch

from cerebatch.networks.auxiliary.intracranial import ERROR_SD
from cerebatch.networks.auxiliary.loading import helper_card, load_helper
from cerebatch.networks.card import Helper
from cerebatch.networks.weights import write_weights

Scores = dict[str, object]


def of_icv(table: pd.DataFrame) -> Scores:
    """Errors of heads that the network of their fold never saw."""
    return {
        ERROR_SD: round(float(table["network error %"].std()), 2),
        "mean error in per cent, heads left out": round(float(table["network error %"].mean()), 2),
        "SD of the affine's error in per cent, same heads": round(float(table["affine error %"].std()), 2),
        "measured": f"{len(table)} rendered heads in four folds; benchmarks/accuracy/icv.py",
    }


def of_superres(table: pd.DataFrame) -> Scores:
    """PSNR and SSIM of each way, and whose scans."""
    means: Any = table.groupby("way")[["PSNR, dB", "SSIM"]].mean().round(3)
    return {
        **{f"{figure}, {way}": float(means.loc[way, figure]) for figure in means for way in means.index},
        "measured": f"real scans held back: {', '.join(sorted(set(table['scan'])))}; benchmarks/accuracy/superres.py",
    }


def of_t2synth(table: pd.DataFrame) -> Scores:
    """Correlation of each way with the real T2w."""
    means: Any = table.groupby(["where", "way"])["correlation"].mean().round(3)
    return {
        **{f"correlation with the real T2w, {where}, {way}": float(value) for (where, way), value in means.items()},
        "measured": f"real scans: {', '.join(sorted(set(table['person'])))}; benchmarks/accuracy/t2_synthesis.py",
    }


def of_registration(table: pd.DataFrame) -> Scores:
    """Dice of the atlases of both ways, and folded voxels."""
    means: Any = table.groupby("way").mean(numeric_only=True)
    return {
        **{f"mean Dice of the atlas, {way}": round(float(value), 4) for way, value in means["dice"].items()},
        "folded voxels in per cent": float(means.loc["network", "folded_percent"]),
        "measured": f"{table['case'].nunique()} library cases, people left out; "
        "benchmarks/accuracy/deep_registration.py",
    }


SCORES: dict[Helper, Callable[[pd.DataFrame], Scores]] = {
    "icv": of_icv,
    "registration": of_registration,
    "superres": of_superres,
    "t2synth": of_t2synth,
}


def main() -> None:
    """Convert and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    for name in get_args(Helper):
        table = options.tables / f"{name}.tsv"
        if not table.exists():
            print(f"{name}: no {table}, not shipped")
            continue
        path = options.trained / f"{name}.safetensors"
        scores = SCORES[name](pd.read_csv(table, sep="\t"))
        card = helper_card(path, name).model_copy(update={"scores": scores})
        write_weights(options.out, load_helper(path, name), card, torch.float16)
        print(f"{name}: {(options.out / path.name).stat().st_size / 1e6:.1f} MB, {scores}")


if __name__ == "__main__":
    main()
