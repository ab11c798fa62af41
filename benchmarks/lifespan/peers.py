"""The same people, covariates and split for lifespan and PCNtoolkit, where that is installed; quality and seconds.

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.peers VOLUMES [--seeds 3]

VOLUMES holds fcon1000.tsv and nki-oasis.tsv. PCNtoolkit is no dependency: install it where you run this, or the table
has our rows alone. Its models are Bayesian linear regression (BLR) on a cubic B-spline of age with 5 knots, sex and
site as fixed effects, and the same with its sinh-arcsinh warped likelihood. Both sides fit five measures (left and
right cortex and white matter, their sum; cm3) to the same half of the persons and predict the other half.

Unseen sites: the models are fitted to fcon1000 alone, learn nki and Oasis2 from half of their persons, and predict the
other half, ages inside the fitted range. Log scores are per cm3; PCNtoolkit's, on standardised volumes, are brought
there by the standard deviation of its training data. Seconds are of fitting and of predicting (with transfer).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.lifespan.people import fitted, predictions, summary
from benchmarks.lifespan.split import ENOUGH, halves, read_people
from lifespan import transfer
from lifespan.checking import pit_distance
from lifespan.people import People

OURS = ("spline+spread+sites+visits+shape", "paper", "sites+visits", "sites+visits+shape")
PEERS: dict[str, dict[str, Any]] = {
    "PCNtoolkit BLR": {},
    "PCNtoolkit BLR, warped": {"warp_name": "WarpSinhArcsinh", "warp_reparam": True},
}
NEW_SITES = ("nki", "Oasis2")


def ours(words: str, train: People, test: People, controls: People | None) -> tuple[pd.DataFrame, float, float]:
    """Predictions of lifespan, and its seconds."""
    start = time.perf_counter()
    model = fitted(train, words)
    taken = time.perf_counter() - start
    start = time.perf_counter()
    if controls is not None and "sites" in words:
        model = transfer(model, controls)
    return predictions(model, test), taken, time.perf_counter() - start


def peer(
    options: dict[str, Any], train: People, test: People, controls: People | None
) -> tuple[pd.DataFrame, float, float]:
    """Predictions of PCNtoolkit, and its seconds."""
    from pcntoolkit import BLR, BsplineBasisFunction, NormativeModel

    with tempfile.TemporaryDirectory() as folder, quiet():
        basis = BsplineBasisFunction(degree=3, nknots=5)
        template = BLR(name="blr", fixed_effect=True, basis_function_mean=basis, **options)
        model = NormativeModel(
            template, savemodel=False, evaluate_model=False, saveresults=False, saveplots=False, save_dir=folder
        )
        start = time.perf_counter()
        model.fit(norm_data("train", train))
        taken = time.perf_counter() - start
        start = time.perf_counter()
        if controls is not None:
            model = model.transfer(norm_data("controls", controls), save_dir=folder)
        data = norm_data("test", test)
        model.predict(data)
        predicting = time.perf_counter() - start
    parts = []
    for structure in test.structures:
        column = {key: data[key].sel(response_vars=structure).values.ravel() for key in ("logp", "Yhat", "Z")}
        spread = float(train.volumes[structure].std(ddof=0))
        parts.append(
            pd.DataFrame(
                {
                    "structure": structure,
                    "age": test.age,
                    "value": test.volumes[structure].to_numpy(),
                    "predicted": column["Yhat"],
                    "log score": column["logp"] - np.log(spread),
                    "inside": np.abs(column["Z"]) <= 1.959964,
                    "z": column["Z"],
                    "person": test.texts("participant_id"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True), taken, predicting


def norm_data(name: str, people: People) -> Any:
    """A table as PCNtoolkit wants it."""
    from pcntoolkit import NormData

    table = pd.concat([people.frame[["participant_id", "session", "age", "sex", "site"]], people.volumes], axis=1)
    table["scan"] = table["participant_id"].astype(str) + "_" + table["session"].astype(str)
    return NormData.from_dataframe(
        name,
        table,
        covariates=["age"],
        batch_effects=["sex", "site"],
        response_vars=list(people.structures),
        subject_ids="scan",
    )


def beside(found: dict[str, pd.DataFrame]) -> str:
    """Each model's log score less that of our richest one, with a 95% interval paired over people; KS; decades."""
    keys = ["structure", "person", "age"]
    common = set.intersection(*(set(map(tuple, rows[keys].round({"age": 6}).to_numpy())) for rows in found.values()))
    own, lines = {}, []
    for name, rows in found.items():
        kept = rows[[tuple(key) in common for key in rows[keys].round({"age": 6}).to_numpy()]]
        own[name] = kept.groupby("person")["log score"].mean().sort_index()
        distance = np.mean([pit_distance(part["z"].to_numpy(dtype=float)) for _, part in kept.groupby("structure")])
        decade = (kept["age"] // 10 * 10).astype(int)
        shares = [
            f"{first}s {part.mean():.3f}"
            for first, part in kept["inside"].groupby(decade)
            if kept.loc[part.index, "person"].nunique() >= ENOUGH
        ]
        behind = own[name] - own.get(f"lifespan {OURS[0]}", own[name])
        half = 1.96 * float(behind.std(ddof=1)) / np.sqrt(len(behind))
        lines.append(
            f"{name}: log score {own[name].mean():.4f}, less {OURS[0]}: {behind.mean():+.4f} "
            f"({behind.mean() - half:+.4f} to {behind.mean() + half:+.4f}), {len(behind)} people; "
            f"KS of PIT {distance:.4f}; inside {', '.join(shares)}"
        )
    return "\n".join(lines)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what PCNtoolkit prints."""
    logging.disable(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    people = read_people(given.volumes)
    sites = np.array(people.texts("site"))
    new = people.take(np.isin(sites, NEW_SITES))
    work: dict[str, Callable[..., tuple[pd.DataFrame, float, float]]] = {
        f"lifespan {words}": lambda *a, w=words: ours(w, *a) for words in OURS
    }
    try:
        print(f"PCNtoolkit {version('pcntoolkit')}, ", end="")
        import pcntoolkit  # noqa: F401

        work |= {name: lambda *a, o=options: peer(o, *a) for name, options in PEERS.items()}
    except PackageNotFoundError:
        print("PCNtoolkit is not installed: our rows alone; ", end="")
    print(f"NumPy {version('numpy')}, SciPy {version('scipy')}, Python {platform.python_version()}")
    for words in ("held-out people", "unseen sites"):
        rows, first = list[dict[str, Any]](), dict[str, pd.DataFrame]()
        for seed in range(given.seeds):
            if words == "held-out people":
                train, test = halves(people, seed)
                controls = None
            else:
                train = people.take(~np.isin(sites, NEW_SITES))
                controls, test = halves(new, seed)
                low = max(train.age[train.in_group(group)].min() for group in ("female", "male"))
                high = min(train.age[train.in_group(group)].max() for group in ("female", "male"))
                controls, test = (some.take((some.age >= low) & (some.age <= high)) for some in (controls, test))
            for name, run in work.items():
                try:
                    found, fitting, predicting = run(train, test, controls)
                    rows.append({"model": name, **summary(found), "fit, s": fitting, "predict, s": predicting})
                    if seed == 0:
                        first[name] = found
                except Exception as error:
                    rows.append({"model": name})
                    print(f"{name}, {words}, seed {seed}: {type(error).__name__}: {error}")
        table = pd.DataFrame(rows).groupby("model", sort=False).mean()
        print(f"\n{words}: {len(train)} scans fitted, {len(test)} predicted; mean of {given.seeds} splits")
        print(table.to_string(float_format=lambda value: f"{value:.3f}"), flush=True)
        print(f"\nFirst split, the people whom all models predict\n{beside(first)}", flush=True)


if __name__ == "__main__":
    main()
