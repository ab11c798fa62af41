"""Known truth: does the right form win as often as BIC lets it, do intervals and bounds hold what they say?

    OMP_NUM_THREADS=1 python -m benchmarks.lifespan.truth [--tables 1000] [--people 1500 250] [--seed 1]

Each of the six forms makes tables of people (ages 1 to 90, normal noise). Printed are

- how often each form wins, beside the rate at which the paper's rule should let it. That rate is computed without the
  package: noise is drawn in the few dimensions that all candidates' columns span, the rest of it being one chi-squared
  number, and the rule is applied there with tau on a dense grid;
- how often the 95% intervals of coefficients and of tau (profile likelihood) hold the truth, when the right form is
  fitted, and when it is the one that won;
- the share of new people inside the 95% bounds, by age, for the paper's model and for `--model spread`, with spread
  that does not change with age and with spread that does.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import special

from lifespan import fit, read_table
from lifespan.coefficients import tau_interval
from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import BY_NAME, CANDIDATES, CONSTANT, Candidate
from lifespan.models.decisions import choose
from lifespan.models.mean import MeanCurve
from lifespan.models.search import fit_candidates
from lifespan.models.whitening import unit

AGES = (1.0, 90.0)
NEW_PEOPLE = 40000
BINS = 9
DENSE = 160
Z99 = 2.576


@dataclass(frozen=True)
class Truth:
    """A form with its coefficients b0 ... and g, tau in years, and the spread in cm3."""

    form: Candidate
    b: tuple[float, ...]
    g: float = 0.0
    tau: float = np.nan
    sd: float = 8.0

    def mean(self, age: np.ndarray) -> np.ndarray:
        """The curve at ages, cm3."""
        volume = np.sum([b * age**k for k, b in enumerate(self.b)], axis=0)
        return volume + (self.g * (1.0 - np.exp(-age / self.tau)) if self.form.growth else 0.0)


TRUTHS = (
    Truth(BY_NAME["linear"], (140.0, -0.30)),
    Truth(BY_NAME["quadratic"], (125.0, 0.45, -0.008)),
    Truth(BY_NAME["cubic"], (100.0, 2.2, -0.045, 0.00025)),
    Truth(BY_NAME["linear + growth"], (60.0, -0.30), 85.0, 4.0),
    Truth(BY_NAME["quadratic + growth"], (60.0, 0.40, -0.009), 70.0, 4.0),
    Truth(BY_NAME["cubic + growth"], (50.0, 2.0, -0.05, 0.0003), 60.0, 4.0),
)
FORMS = [CONSTANT, *CANDIDATES]


def computed_rates(truth: Truth, age: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each form should win: the rule, applied in the space that the candidates' columns span."""
    basis = AgeBasis.of(age)
    low, high = basis.tau_range(age)
    taus = np.geomspace(low, high, DENSE)
    years = np.vander(age, 4, increasing=True)
    decay = np.exp(-age[:, None] / taus)
    slopes = decay * age[:, None] / taus**2
    spanning = np.hstack(
        [np.vander(age / 45 - 1, 4), decay / np.linalg.norm(decay, axis=0), slopes / np.linalg.norm(slopes, axis=0)]
    )
    u, size, _ = np.linalg.svd(np.column_stack([spanning, truth.mean(age)[:, None] / 1e3]), full_matrices=False)
    u = u[:, size > 1e-12 * size[0]]
    n, d = len(age), u.shape[1]
    scale = np.abs(years).max(axis=0)
    powers, growth, slope = u.T @ (years / scale), u.T @ (1.0 - decay), u.T @ slopes
    signal = u.T @ truth.mean(age)
    wins = np.zeros(len(FORMS))
    for _ in range(draws):
        y = signal + rng.normal(0.0, truth.sd, d)
        beyond = truth.sd**2 * rng.chisquare(n - d)
        best, best_bic, constant_rss = 0, np.inf, np.nan
        for k, form in enumerate(FORMS):
            x = powers[:, : form.degree + 1]
            if form.growth:
                q, _ = np.linalg.qr(x)
                rest = growth - q @ (q.T @ growth)
                left = y - q @ (q.T @ y)
                at = int(np.argmax((rest.T @ left) ** 2 / (rest**2).sum(axis=0)))
                x = np.column_stack([x, growth[:, at]])
            q, r = np.linalg.qr(x)
            b = np.linalg.solve(r, q.T @ y)
            rss = float(((y - x @ b) ** 2).sum()) + beyond
            p = form.parameters
            if k == 0:
                constant_rss = rss
                continue
            if form.growth:
                x = np.column_stack([x, -b[-1] * slope[:, at]])
            inverse = np.linalg.inv(np.linalg.qr(x)[1])
            error = np.sqrt((inverse**2).sum(axis=1) * rss / (n - p))[: len(b)]
            t_p = 2 * special.stdtr(n - p, -np.abs(b) / error)
            f_p = special.fdtrc(p - 1, n - p, (constant_rss - rss) / (p - 1) / (rss / (n - p)))
            bic = n * np.log(rss / n) + p * np.log(n)
            if f_p < 0.05 and (t_p < 0.05).all() and bic < best_bic:
                best, best_bic = k, bic
        wins[best] += 1
    return wins / draws


def selection(truth: Truth, tables: int, people: int, draws: int, rng: np.random.Generator) -> None:
    """Wins and coverage of one form."""
    age = np.sort(rng.uniform(*AGES, people))
    volumes = truth.mean(age)[:, None] + rng.normal(0.0, truth.sd, (people, tables))
    basis, same = AgeBasis.of(age), unit(people)
    fits = fit_candidates(age, volumes, basis, same)
    chosen, _ = choose(fits)
    right = FORMS.index(truth.form)
    wins = np.bincount(chosen, minlength=len(FORMS)) / tables
    expected = computed_rates(truth, age, draws, rng)
    rate = expected[right]
    error = np.sqrt(rate * (1 - rate) * (1 / tables + 1 / draws))
    verdict = "within" if abs(wins[right] - rate) <= Z99 * error + 0.5 / tables else "OUTSIDE"
    print(
        f"\n{truth.form.name}: wins {wins[right]:.3f}, computed {rate:.3f} "
        f"(99% of differences: {Z99 * error:.3f}), {verdict}"
    )
    others = [
        f"{f.name} {w:.3f} ({e:.3f})"
        for f, w, e in zip(FORMS, wins, expected, strict=True)
        if max(w, e) > 0.002 and f != truth.form
    ]
    print("  others, wins (computed): " + ("; ".join(others) or "none"))
    fit_ = fits[right]
    t = special.stdtrit(fit_.freedom, 0.975)
    true = np.array([*truth.b, truth.g] if truth.form.growth else truth.b)
    holds = np.abs(fit_.in_years - true) <= t * fit_.standard_errors
    won = np.array(chosen) == right
    spread = 1.96 * np.sqrt(0.95 * 0.05 / tables)
    print(
        f"  95% intervals hold the truth (95% of {tables} tables: {0.95 - spread:.3f}-{0.95 + spread:.3f}; "
        "when it won in brackets):"
    )
    words = [f"{term} {a.mean():.3f} ({a[won].mean():.3f})" for term, a in zip(truth.form.terms, holds.T, strict=True)]
    if truth.form.growth:
        from lifespan.models.curve import Curve
        from lifespan.models.spread import Spread

        inside = []
        for s in range(tables):
            mean = MeanCurve.of(fit_, s, basis)
            curve = Curve("", "", "", mean, Spread(basis, np.zeros(1)), people, people, *AGES)
            low, high = tau_interval(curve, age, volumes[:, s], same)
            inside.append(low <= truth.tau <= high)
        tau = np.array(inside)
        words.append(f"tau {tau.mean():.3f} ({tau[won].mean():.3f})")
    print("  " + ", ".join(words))


def bounds(truths: tuple[Truth, ...], people: int, rng: np.random.Generator) -> None:
    """Share of new people inside the bounds, by age."""
    edges = np.linspace(*AGES, BINS + 1)
    spreads = {
        "constant spread": lambda age: np.ones_like(age),
        "spread x 2.1 from 1 to 90 years": lambda age: np.exp(-0.35 + 0.0085 * age),
    }
    for words, factor in spreads.items():
        rows = []
        for truth in truths:
            age = rng.uniform(*AGES, people)
            volume = truth.mean(age) + rng.normal(0.0, truth.sd * factor(age))
            table = pd.DataFrame({"participant_id": np.arange(people), "age": age, "x_cm3": volume})
            members = read_table(table)
            for model in ("paper", "spread"):
                curve = fit(members, model=model, icv="none").curves["x", "absolute", "all"]
                inside = []
                for low, high in pairwise(edges):
                    low, high = max(low, curve.age_low), min(high, curve.age_high)
                    new = rng.uniform(low, high, NEW_PEOPLE)
                    found = truth.mean(new) + rng.normal(0.0, truth.sd * factor(new))
                    lower, upper = curve.predict(new).bounds()
                    inside.append(float(((found >= lower) & (found <= upper)).mean()))
                rows.append([truth.form.name, model, curve.mean.form, *inside])
        names = [f"{low:.0f}-{high:.0f}" for low, high in pairwise(edges)]
        found = pd.DataFrame(rows, columns=["truth", "model", "fitted form", *names])
        print(f"\nNew people inside the 95% bounds; {words}; {people} people fitted, {NEW_PEOPLE} new ones a bin")
        print(found.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
        for kind, part in found.groupby("model", sort=False):
            off = np.abs(part[names].to_numpy() - 0.95)
            print(
                f"{kind}: {int((off <= 0.01).sum())} of {off.size} bins within 95% +- 1%; "
                f"farthest {100 * off.max():.1f}"
            )


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--people", type=int, nargs="+", default=[1500, 250])
    parser.add_argument("--draws", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    for people in given.people:
        print(f"\n{given.tables} tables of {people} people a form, {given.draws} draws for the computed rate")
        for truth in TRUTHS:
            selection(truth, given.tables, people, given.draws, rng)
    bounds(TRUTHS, 4857, rng)


if __name__ == "__main__":
    main()
