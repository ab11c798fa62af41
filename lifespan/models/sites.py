"""What is known of each site: its shift and its factor of the spread; and a new site from its own controls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lifespan.arrays import Floats


@dataclass(frozen=True)
class SiteEffects:
    """Sites of one curve.

    Attributes
    ----------
    names : tuple of str
    shifts, shift_sd : (sites,) float
        What a site adds to the curve, in the unit of the volumes, and its standard deviation.
    log_scales : (sites,) float
        Logarithm of the factor of the spread.
    between_sd, scale_sd : float
        Standard deviations between sites of shifts (root of its mean square, given the people) and of logarithms of
        factors.
    between_doubt : float
        Standard deviation, given the people, of the square of `between_sd`: two or three sites leave it much in doubt.
    of_curve : (p, p) float or None
        Covariance of the curve's parameters from all groups that share the sites.
    with_curve : (sites, p) float or None
        Covariance of each shift with them.
    """

    names: tuple[str, ...]
    shifts: Floats
    shift_sd: Floats
    log_scales: Floats
    between_sd: float
    scale_sd: float
    between_doubt: float = 0.0
    of_curve: Floats | None = None
    with_curve: Floats | None = None

    def lookup(self, sites: list[str]) -> tuple[Floats, Floats, Floats]:
        """Shift, its standard deviation and the factor of the spread for each of n people.

        A site that the model does not know gets no shift, the standard deviation between sites, and the root mean
        square of a random site's factor.

        Returns
        -------
        shift, shift_sd, factor : (n,) float
        """
        place = {name: k for k, name in enumerate(self.names)}
        index = np.array([place.get(site, len(self.names)) for site in sites], dtype=np.intp)
        shift = np.append(self.shifts, 0.0)
        sd = np.append(self.shift_sd, self.between_sd)
        factor = np.append(np.exp(self.log_scales), np.exp(self.scale_sd**2))
        return shift[index], sd[index], factor[index]

    def random_site(self, within: Floats) -> tuple[Floats, Floats]:
        """A site that nothing is known of: variance and kurtosis of one person there.

        Its shift is normal, of a variance that is itself in doubt, and its spread is lognormal. Student's t with the
        same variance and kurtosis stands for that mixture.

        Parameters
        ----------
        within : (n,) float
            Variance within a site whose factor is 1.

        Returns
        -------
        squared_scale, freedom : (n,) float
            Of Student's t.
        """
        sites = len(self.names)
        between, factor = self.between_sd**2, np.exp(2.0 * self.scale_sd**2)
        variance = between + factor * within
        # The sites' own uncertain mean moves with the same doubtful variance.
        doubt = (self.between_doubt * (1.0 + 1.0 / sites)) ** 2
        doubt = doubt + (factor * within) ** 2 * np.expm1(4.0 * self.scale_sd**2)
        freedom = 4.0 + 2.0 * variance**2 / np.maximum(doubt, 1e-12 * variance**2)
        return np.asarray(variance * (freedom - 2.0) / freedom), np.asarray(freedom)

    def doubt_at(self, sites: list[str], columns: Floats, of_curve: Floats) -> Floats:
        """(n,) variance of curve and shift together; of a site that is not known, of the curve alone.

        Parameters
        ----------
        sites : list of n str
        columns : (n, p) float
            Derivatives of the curve by its parameters.
        of_curve : (p, p) float
            Covariance of the parameters by this group's people alone.
        """
        alone = np.einsum("np,pq,nq->n", columns, of_curve, columns)
        place = {name: k for k, name in enumerate(self.names)}
        index = np.array([place.get(site, -1) for site in sites], dtype=np.intp)
        known = index >= 0
        if self.of_curve is None or self.with_curve is None:
            # Of version 1: as if both were wrong independently of each other.
            return np.asarray(alone + np.where(known, np.append(self.shift_sd, 0.0)[index] ** 2, 0.0))
        together = np.einsum("np,pq,nq->n", columns, self.of_curve, columns)
        together = together + 2.0 * (columns * self.with_curve[index]).sum(axis=1) + self.shift_sd[index] ** 2
        return np.asarray(np.where(known, together, alone))

    def with_site(
        self, name: str, shift: float, shift_sd: float, log_scale: float, with_curve: Floats | None = None
    ) -> SiteEffects:
        """The same sites and one more; one of the same name is replaced."""
        kept = [k for k, known in enumerate(self.names) if known != name]
        return replace(
            self,
            names=(*(self.names[k] for k in kept), name),
            shifts=np.append(self.shifts[kept], shift),
            shift_sd=np.append(self.shift_sd[kept], shift_sd),
            log_scales=np.append(self.log_scales[kept], log_scale),
            with_curve=None
            if self.with_curve is None or with_curve is None
            else np.vstack([self.with_curve[kept], with_curve]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "shifts": self.shifts.tolist(),
            "shift_sd": self.shift_sd.tolist(),
            "log_scales": self.log_scales.tolist(),
            "between_sd": self.between_sd,
            "scale_sd": self.scale_sd,
            "between_doubt": self.between_doubt,
            "of_curve": None if self.of_curve is None else self.of_curve.tolist(),
            "with_curve": None if self.with_curve is None else self.with_curve.tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SiteEffects:
        columns = {key: np.array(content[key], dtype=np.float64) for key in ("shifts", "shift_sd", "log_scales")}
        return cls(
            tuple(content["names"]),
            between_sd=float(content["between_sd"]),
            scale_sd=float(content["scale_sd"]),
            between_doubt=float(content.get("between_doubt", 0.0)),
            of_curve=_matrix(content.get("of_curve")),
            with_curve=_matrix(content.get("with_curve")),
            **columns,
        )


def _matrix(rows: list[list[float]] | None) -> Floats | None:
    return None if rows is None else np.array(rows, dtype=np.float64)
