"""What one candidate gives when it is fitted to many structures at once, and its tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from lifespan.arrays import Bools, Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.candidates import Candidate


@dataclass(frozen=True)
class CandidateFit:
    """One candidate, S structures, n observations (whitened), p parameters of the mean.

    Attributes
    ----------
    candidate : Candidate
    count : int
        n.
    coefficients : (S, q) float
        c_0 ... c_d and e of `AgeBasis`, in the unit of the volumes.
    tau : (S,) float
        Years; nan without growth.
    tau_at_limit : (S,) bool
        The profile has its maximum at an end of the searched range.
    rss : (S,) float
        Sum of squared whitened residuals.
    root : (S, p, p) float
        R^-1 of the Jacobian's QR decomposition; covariance of (c, e, tau) = variance * root root'.
    to_years : (S, p, p) float
        Linear map from changes of (c, e, tau) to changes of (b, g, tau).
    in_years : (S, q) float
        b_0 ... b_d and g.
    """

    candidate: Candidate
    count: int
    coefficients: Floats
    tau: Floats
    tau_at_limit: Bools
    rss: Floats
    root: Floats
    to_years: Floats
    in_years: Floats

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the residuals, n - p; tau counts."""
        return self.count - self.candidate.parameters

    @property
    def variance(self) -> Floats:
        """(S,) residual variance."""
        return np.asarray(self.rss / self.freedom)

    @property
    def log_likelihood_2(self) -> Floats:
        """(S,) minus twice the Gaussian log-likelihood at its maximum, without what all candidates share."""
        return np.asarray(self.count * np.log(self.rss / self.count))

    @property
    def bic(self) -> Floats:
        """(S,) n log(RSS / n) + p log n."""
        return np.asarray(self.log_likelihood_2 + self.candidate.parameters * np.log(self.count))

    @property
    def standard_errors(self) -> Floats:
        """(S, q) of b_0 ... b_d and g, with the uncertainty of tau in them."""
        rows = self.to_years @ self.root
        size = np.sqrt((rows**2).sum(axis=2) * self.variance[:, None])
        return np.asarray(size[:, : self.in_years.shape[1]])

    @property
    def t_test_p(self) -> Floats:
        """(S, q) two-sided p-values of b_0 ... b_d and g."""
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.abs(self.in_years) / self.standard_errors
        return np.asarray(2.0 * special.stdtr(self.freedom, -np.nan_to_num(t, nan=0.0)))

    def f_test_p(self, constant_rss: Floats) -> Floats:
        """(S,) p-values of the F-test against the constant curve; tau counts as a parameter."""
        more = self.candidate.parameters - 1
        f = (constant_rss - self.rss) / more / self.variance
        return np.asarray(special.fdtrc(more, self.freedom, np.maximum(f, 0.0)))


def to_years(basis: AgeBasis, candidate: Candidate, coefficients: Floats, tau: Floats) -> tuple[Floats, Floats]:
    """From the package's own coefficients to those of the formula in years.

    Parameters
    ----------
    basis : AgeBasis
    candidate : Candidate
    coefficients : (S, q) float
    tau : (S,) float
        Years; nan without growth.

    Returns
    -------
    in_years : (S, q) float
        b_0 ... b_d and g.
    change : (S, p, p) float
        Derivatives of (b, g, tau) by (c, e, tau).
    """
    structures, degree = len(tau), candidate.degree
    powers = basis.in_years(degree)
    polynomial = coefficients[:, : degree + 1] @ powers.T
    change = np.zeros((structures, candidate.parameters, candidate.parameters))
    change[:, : degree + 1, : degree + 1] = powers
    if not candidate.growth:
        return polynomial, change
    # e exp(-(age - youngest) / tau) = -g exp(-age / tau), and b0 + g is the polynomial's own constant.
    raise_to_birth = np.exp(basis.youngest / tau)
    e = coefficients[:, degree + 1]
    g = -e * raise_to_birth
    g_by_e, g_by_tau = -raise_to_birth, -g * basis.youngest / tau**2
    change[:, degree + 1, degree + 1], change[:, degree + 1, degree + 2] = g_by_e, g_by_tau
    change[:, 0, degree + 1], change[:, 0, degree + 2] = -g_by_e, -g_by_tau
    change[:, degree + 2, degree + 2] = 1.0
    polynomial[:, 0] -= g
    return np.column_stack([polynomial, g]), change
