"""Truths that are not the models' own: do bounds hold 95% in every bin of age?

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.other_truths [--replicates 20] [--people 1500] [--truth NAME ...]

Curves are Gompertz growth with accelerated loss, which none of the candidates is. Each truth changes one thing:
residuals of a gamma or of Student's t distribution, ages that crowd in the twenties, 2% of volumes wrong by half, sites
with two scales, sexes with two spreads, two or four sites, spread that grows, infants. For each truth and model are
printed the share of new, sound people inside the 95% bounds (of their own sex and site, where the model knows them) in
each bin of age, mean over replicates, the largest Monte Carlo error over replicates, and the distance of centiles from
even. Bins, replicates and seeds are fixed here, before anything is looked at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from lifespan import LifespanError, fit
from lifespan.checking import pit_distance

EDGES = (0.0, 1.0, 3.0, 6.0, 12.0, 18.0, 30.0, 45.0, 60.0, 75.0, 90.0)
NEW_PEOPLE = 400
"""Of each bin and replicate."""

SMALLEST_CM3 = 5.0
"""Wide spreads reach it at birth; the reader takes smaller values for those of another unit."""

AIM = 0.015
MODELS = ("paper", "spread", "spline+spread", "spline+spread+shape", "robust+spread")
WITH_SITES = ("sites", "spread+sites", "spline+spread+sites", "spline+spread+sites+shape", "robust+spread+sites")

Noise = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Truth:
    """What makes people.

    Attributes
    ----------
    noise : callable
        n residuals of mean 0 and standard deviation 1.
    sites : int
    men_spread, growing : float
        Factor of men's spread; logarithm of the spread at 90 years over that at birth.
    crowded, infants : bool
        Ages crowd in the twenties; a third of the people is below three years.
    wrong : float
        Share of fitted volumes that are half too large. New people are sound.
    """

    noise: Noise = lambda rng, n: rng.normal(size=n)
    sites: int = 0
    men_spread: float = 1.0
    growing: float = 0.0
    crowded: bool = False
    infants: bool = False
    wrong: float = 0.0


def gamma(rng: np.random.Generator, n: int) -> np.ndarray:
    """Skewness 1."""
    return (rng.gamma(4.0, 1.0, n) - 4.0) / 2.0


def student(rng: np.random.Generator, n: int) -> np.ndarray:
    """Student's t with 5 degrees of freedom, of standard deviation 1."""
    return rng.standard_t(5.0, n) * np.sqrt(3.0 / 5.0)


TRUTHS = {
    "normal": Truth(),
    "growing spread": Truth(growing=0.8),
    "gamma residuals": Truth(noise=gamma),
    "t residuals": Truth(noise=student),
    "crowded ages": Truth(crowded=True),
    "infants": Truth(infants=True),
    "2% wrong": Truth(wrong=0.02),
    "sexes of two spreads": Truth(men_spread=1.8),
    "20 sites of two scales": Truth(sites=20),
    "4 sites": Truth(sites=4),
    "2 sites": Truth(sites=2),
}


def mean_cm3(age: np.ndarray) -> np.ndarray:
    """Gompertz growth from birth, and loss that accelerates."""
    return np.asarray(120.0 * np.exp(-1.2 * np.exp(-0.9 * age)) - 0.05 * age - 0.9 * np.expm1(age / 28.0))


def ages(truth: Truth, rng: np.random.Generator, count: int) -> np.ndarray:
    """Ages of the people of a fit, years; the youngest and the oldest are always there."""
    age = rng.uniform(0.0, 90.0, count)
    if truth.crowded:
        young = rng.uniform(size=count) < 0.7
        age = np.where(young, np.clip(rng.normal(23.0, 4.0, count), 0.0, 90.0), age)
    if truth.infants:
        age = np.where(rng.uniform(size=count) < 1 / 3, rng.uniform(0.0, 3.0, count), age)
    age[:2] = 0.0, 90.0
    return age


class World:
    """One replicate: the sites' shifts and scales, and people who live there."""

    def __init__(self, truth: Truth, seed: int) -> None:
        self.truth, self.rng = truth, np.random.default_rng(seed)
        self.shifts = self.rng.normal(0.0, 4.0, max(1, truth.sites)) * (truth.sites > 0)
        self.scales = np.where(np.arange(max(1, truth.sites)) % 2, 1.5, 1.0) if truth.sites > 4 else np.ones(4)

    def people(self, age: np.ndarray, wrong: float = 0.0) -> pd.DataFrame:
        """Sound people of some ages, but for a share."""
        truth, rng, count = self.truth, self.rng, len(age)
        man, site = rng.integers(0, 2, count), rng.integers(0, max(1, truth.sites), count)
        sd = 8.0 * np.where(man, truth.men_spread, 1.0) * np.exp(truth.growing * age / 90.0) * self.scales[site]
        volume = mean_cm3(age) + self.shifts[site] + sd * truth.noise(rng, count)
        volume = np.where(rng.uniform(size=count) < wrong, 1.5 * volume, volume)
        names = {"participant_id": [f"p{k}" for k in range(count)], "age": age, "sex": np.where(man, "M", "F")}
        return pd.DataFrame({**names, "site": [f"s{k}" for k in site], "x_cm3": np.maximum(volume, SMALLEST_CM3)})


def replicate(truth: Truth, model: str, seed: int, count: int) -> tuple[list[float], float]:
    """Share inside in each bin, and the distance of centiles from even."""
    world = World(truth, seed)
    fitted = fit(world.people(ages(truth, world.rng, count), truth.wrong), model=model, icv="none")
    inside, scores = [], []
    for low, high in pairwise(EDGES):
        new = world.people(world.rng.uniform(low, high, NEW_PEOPLE))
        found = []
        for sex, group in (("F", "female"), ("M", "male")):
            some = new[new["sex"] == sex]
            value = some["x_cm3"].to_numpy()
            expected = fitted.curves["x", "absolute", group].predict(some["age"].to_numpy(), list(some["site"]))
            lower, upper = expected.bounds()
            found.append((value >= lower) & (value <= upper))
            scores.append(expected.z(value))
        inside.append(float(np.concatenate(found).mean()))
    return inside, pit_distance(np.concatenate(scores))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--people", type=int, default=1500)
    parser.add_argument("--truth", nargs="+", choices=list(TRUTHS), default=list(TRUTHS))
    given = parser.parse_args()
    names = [f"{low:g}-{high:g}" for low, high in pairwise(EDGES)]
    print(f"{given.replicates} replicates of {given.people} people; {NEW_PEOPLE} new ones a bin and replicate")
    rows = []
    for name in given.truth:
        truth = TRUTHS[name]
        for model in (*MODELS, *(WITH_SITES if truth.sites else ())):
            start, shares, distances, refused = time.perf_counter(), [], [], 0
            for seed in range(given.replicates):
                try:
                    share, distance = replicate(truth, model, seed, given.people)
                except LifespanError:
                    refused += 1
                    continue
                shares.append(share)
                distances.append(distance)
            if not shares:
                print(f"{name}, {model}: refused in all replicates")
                continue
            middle = np.mean(shares, axis=0)
            error = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else np.full(10, np.nan)
            held = int((np.abs(middle - 0.95) <= AIM).sum())
            row = {"truth": name, "model": model} | dict(zip(names, middle, strict=True))
            row |= {"held": f"{held}/{len(names)}", "largest error": float(np.max(error))}
            row |= {"pit": float(np.mean(distances)), "refused": refused, "s": time.perf_counter() - start}
            rows.append(row)
            print(f"{name}, {model}: {held} of {len(names)} bins within 95% +- {100 * AIM:g}", flush=True)
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
