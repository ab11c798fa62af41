"""The mean of a structure against age: one fitted curve with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis
from lifespan.models.candidate_fit import CandidateFit
from lifespan.models.candidates import BY_NAME
from lifespan.models.spline import natural_spline

SPLINE = "spline"


@dataclass(frozen=True)
class MeanCurve:
    """A mean curve.

    Attributes
    ----------
    form : str
        Name of a candidate, or "spline".
    basis : AgeBasis
    coefficients : (q,) float
        On the scaled basis, in the unit of the volumes.
    covariance : (p, p) float
        Of the coefficients and, with growth, tau.
    tau : float or None
        Years.
    knots : tuple of float
        Years; of a spline.
    log_age : bool
        Whether the spline is one of log(age + 0.75).
    """

    form: str
    basis: AgeBasis
    coefficients: Floats
    covariance: Floats
    tau: float | None = None
    knots: tuple[float, ...] = ()
    log_age: bool = False

    @classmethod
    def of(cls, fit: CandidateFit, structure: int, basis: AgeBasis) -> MeanCurve:
        """One structure of a candidate's fit."""
        root = fit.root[structure]
        return cls(
            fit.candidate.name,
            basis,
            fit.coefficients[structure],
            float(fit.variance[structure]) * (root @ root.T),
            float(fit.tau[structure]) if fit.candidate.growth else None,
        )

    @property
    def parameters(self) -> int:
        """How many parameters, tau counted."""
        return int(self.covariance.shape[0])

    def value(self, age: Floats) -> Floats:
        """(n,) mean at ages (n,) in years."""
        if self.form == SPLINE:
            return np.asarray(self.jacobian(age) @ self.coefficients)
        candidate = BY_NAME[self.form]
        powers = self.basis.powers(age, candidate.degree)
        mean = powers @ self.coefficients[: candidate.degree + 1]
        if self.tau is not None:
            mean = mean + self.coefficients[-1] * self.basis.decay(age, np.array([self.tau]))[:, 0]
        return np.asarray(mean)

    def jacobian(self, age: Floats) -> Floats:
        """(n, p) derivatives of the mean by the parameters."""
        if self.form == SPLINE:
            return natural_spline(age, self.basis, self.knots, self.log_age)
        return self.basis.jacobian(age, BY_NAME[self.form], float(self.coefficients[-1]), self.tau or 0.0)

    def variance(self, age: Floats) -> Floats:
        """(n,) squared standard error of the mean."""
        x = self.jacobian(age)
        return np.asarray(np.einsum("np,pq,nq->n", x, self.covariance, x))

    def to_json(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "basis": {"centre": self.basis.centre, "half": self.basis.half, "youngest": self.basis.youngest},
            "coefficients": self.coefficients.tolist(),
            "covariance": self.covariance.tolist(),
            "tau_years": self.tau,
            "knots_years": list(self.knots),
            "log_age": self.log_age,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> MeanCurve:
        return cls(
            str(content["form"]),
            AgeBasis.from_json(content["basis"]),
            np.array(content["coefficients"], dtype=np.float64),
            np.array(content["covariance"], dtype=np.float64),
            content["tau_years"],
            tuple(content["knots_years"]),
            # Of version 1 every spline was one of plain years.
            bool(content.get("log_age", False)),
        )
