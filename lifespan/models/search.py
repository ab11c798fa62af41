"""Fitting every candidate to many structures at once: least squares, and tau by profile likelihood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.candidate_fit import CandidateFit, to_years
from lifespan.models.candidates import CANDIDATES, CONSTANT, Candidate

GRID = 48
"""Values of tau that are tried, evenly on a logarithmic scale."""

_ROUNDS = 4
_SHRINK = 0.12
_NOTHING = 1e-12

Map = Callable[[Floats], Floats]
"""Whitens columns (n, k)."""


def fit_candidates(
    age: Floats,
    volumes: Floats,
    basis: AgeBasis,
    whiten: Map,
    candidates: tuple[Candidate, ...] = (CONSTANT, *CANDIDATES),
) -> list[CandidateFit]:
    """Fit each candidate to each structure.

    For a fixed tau a curve is linear, so the likelihood at tau needs only the part of the growth column that the
    polynomial leaves over: RSS(tau) = RSS_polynomial - (g . y)^2 / (g . g). All structures share the columns of the
    grid; near the best grid point each structure gets its own tau by parabolas through three points.

    Parameters
    ----------
    age : (n,) float
        Years.
    volumes : (n, S) float
    basis : AgeBasis
    whiten : callable
        Linear map of columns that makes the observations independent and equally spread.
    candidates : tuple of Candidate

    Returns
    -------
    fits : list of CandidateFit
        In the order of `candidates`.
    """
    target = whiten(volumes)
    q, r = np.linalg.qr(whiten(basis.powers(age, max(candidate.degree for candidate in candidates))))
    along = q.T @ target
    grid = np.geomspace(*basis.tau_range(age), GRID)
    decays = whiten(basis.decay(age, grid)) if any(candidate.growth for candidate in candidates) else None
    fits = []
    for candidate in candidates:
        kept = candidate.degree + 1
        polynomial = _Polynomial(age, basis, whiten, q[:, :kept], r[:kept, :kept], target, along[:kept])
        if candidate.growth:
            assert decays is not None
            fits.append(polynomial.with_growth(candidate, grid, decays))
        else:
            fits.append(polynomial.alone(candidate))
    return fits


class _Polynomial:
    """The polynomial part of a candidate, solved, and what it leaves over.

    Parameters
    ----------
    age : (n,) float
    basis : AgeBasis
    whiten : callable
    q, r : (n, k) and (k, k) float
        QR decomposition of the whitened powers.
    target : (n, S) float
        Whitened volumes.
    along : (k, S) float
        q' target.
    """

    def __init__(
        self, age: Floats, basis: AgeBasis, whiten: Map, q: Floats, r: Floats, target: Floats, along: Floats
    ) -> None:
        self.age, self.basis, self.whiten = age, basis, whiten
        self.q, self.r, self.along = q, r, along
        self.residuals = target - q @ along
        self.rss = (self.residuals**2).sum(axis=0)

    def alone(self, candidate: Candidate) -> CandidateFit:
        """The candidate without growth."""
        structures = self.residuals.shape[1]
        coefficients: Floats = np.asarray(np.linalg.solve(self.r, self.along).T, dtype=np.float64)
        tau = np.full(structures, np.nan)
        root = np.broadcast_to(np.linalg.inv(self.r), (structures, *self.r.shape))
        in_years, change = to_years(self.basis, candidate, coefficients, tau)
        limit = np.zeros(structures, dtype=np.bool_)
        return CandidateFit(
            candidate, len(self.age), coefficients, tau, limit, self.rss, np.asarray(root), change, in_years
        )

    def with_growth(self, candidate: Candidate, grid: Floats, decays: Floats) -> CandidateFit:
        """The candidate with growth: tau from the grid, made finer, then the linear part."""
        tau, at_limit = self._best_tau(grid, decays)
        decay = self.whiten(self.basis.decay(self.age, tau))
        rest = self._rest(decay)
        length = np.sqrt((rest**2).sum(axis=0))
        e = (rest * self.residuals).sum(axis=0) / length**2
        residuals = self.residuals - e * rest
        powers = np.linalg.solve(self.r, self.along - e * (self.q.T @ decay))
        coefficients = np.column_stack([powers.T, e])
        root = self._root(decay, rest, length, e, tau)
        in_years, change = to_years(self.basis, candidate, coefficients, tau)
        rss = (residuals**2).sum(axis=0)
        return CandidateFit(candidate, len(self.age), coefficients, tau, at_limit, rss, root, change, in_years)

    def gain(self, decays: Floats) -> Floats:
        """(T, S) by how much each growth column (n, T) lowers the RSS of each structure."""
        rest = self._rest(decays)
        length = (rest**2).sum(axis=0)
        # A column that the polynomial explains to the last digits holds nothing but rounding.
        seen = length > _NOTHING * (decays**2).sum(axis=0)
        return np.asarray(np.where(seen, 1.0, 0.0)[:, None] * (rest.T @ self.residuals) ** 2 / length[:, None])

    def _gain_of_own(self, tau: Floats) -> Floats:
        """(S,) by how much the growth column with its own tau lowers the RSS of each structure."""
        decay = self.whiten(self.basis.decay(self.age, tau))
        rest = self._rest(decay)
        length = (rest**2).sum(axis=0)
        seen = length > _NOTHING * (decay**2).sum(axis=0)
        return np.asarray(np.where(seen, (rest * self.residuals).sum(axis=0) ** 2 / length, 0.0))

    def _best_tau(self, grid: Floats, decays: Floats) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        gains = self.gain(decays)
        best = gains.argmax(axis=0)
        at_limit = (best == 0) | (best == len(grid) - 1)
        logs = np.log(grid)
        step = float(logs[1] - logs[0])
        centre, middle = logs[best], gains.max(axis=0)
        inner = np.clip(best, 1, len(grid) - 2)
        below = np.take_along_axis(gains, inner[None] - 1, axis=0)[0]
        above = np.take_along_axis(gains, inner[None] + 1, axis=0)[0]
        for turn in range(_ROUNDS):
            move = np.where(at_limit, 0.0, _peak(below, middle, above) * step)
            there = self._gain_of_own(np.exp(centre + move))
            better = there > middle
            centre, middle = np.where(better, centre + move, centre), np.where(better, there, middle)
            if turn + 1 < _ROUNDS:
                step *= _SHRINK
                below = self._gain_of_own(np.exp(centre - step))
                above = self._gain_of_own(np.exp(centre + step))
        return np.exp(centre), at_limit

    def _rest(self, columns: Floats) -> Floats:
        """(n, k) what the polynomial leaves of whitened columns."""
        return np.asarray(columns - self.q @ (self.q.T @ columns))

    def _root(self, decay: Floats, rest: Floats, length: Floats, e: Floats, tau: Floats) -> Floats:
        """(S, p, p) inverse of R of the columns powers, decay and derivative by tau, structure by structure."""
        kept, structures = self.r.shape[0], len(tau)
        raw = e * self.basis.decay(self.age, tau) * (self.age - self.basis.youngest)[:, None] / tau**2
        slope = self.whiten(raw)
        slope_rest = self._rest(slope)
        shared = (rest * slope_rest).sum(axis=0) / length
        own = np.sqrt(((slope_rest - shared / length * rest) ** 2).sum(axis=0))
        r = np.zeros((structures, kept + 2, kept + 2))
        r[:, :kept, :kept] = self.r
        r[:, :kept, kept] = (self.q.T @ decay).T
        r[:, :kept, kept + 1] = (self.q.T @ slope).T
        r[:, kept, kept], r[:, kept, kept + 1] = length, shared
        # Without growth tau means nothing: its column is zero, and its uncertainty has no end.
        r[:, kept + 1, kept + 1] = np.maximum(own, 1e-14 * np.sqrt((slope**2).sum(axis=0)) + 1e-200)
        return np.asarray(np.linalg.inv(r))


def _peak(below: Floats, middle: Floats, above: Floats) -> Floats:
    """Where a parabola through three points one step apart is highest, in steps from the middle; at most one."""
    bend = below - 2.0 * middle + above
    with np.errstate(invalid="ignore", divide="ignore"):
        peak = 0.5 * (below - above) / bend
    return np.where(bend < 0, np.clip(np.nan_to_num(peak), -1.0, 1.0), np.where(above > below, 1.0, -1.0))


def profile_rss(age: Floats, volume: Floats, basis: AgeBasis, whiten: Map, degree: int, tau: Floats) -> Floats:
    """(T,) residual sum of squares of one structure with growth at each tau (T,), years.

    Parameters
    ----------
    age, volume : (n,) float
    basis : AgeBasis
    whiten : callable
    degree : int
        Of the polynomial.
    tau : (T,) float
    """
    q, r = np.linalg.qr(whiten(basis.powers(age, degree)))
    target = whiten(volume[:, None])
    solved = _Polynomial(age, basis, whiten, q, r, target, q.T @ target)
    return np.asarray(solved.rss[0] - solved.gain(whiten(basis.decay(age, tau)))[:, 0])
