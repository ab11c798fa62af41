"""Making observations independent and of spread 1: spread by age, visits of one person, people of one site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lifespan.arrays import Floats
from lifespan.grouping import Groups


@dataclass(frozen=True)
class Whitening:
    """The covariance of the observations, and the linear map that makes it the identity.

    y_i = curve(age_i) + u[site_i] + sd_i (sqrt(rho) p[person_i] + sqrt(1 - rho) e_i); p and e are standard normal, u
    is normal with standard deviation `site_sd`. Each step is the exact inverse square root of a matrix that is the
    identity plus one of rank one in each group. The visits of one person all belong to one site.

    Attributes
    ----------
    sd : (n,) float
        Standard deviation of each observation within its site, in the unit of the volumes.
    persons : Groups or None
    rho : float
        Correlation of two visits of one person, 0 to below 1.
    sites : Groups or None
    site_sd : float
        Standard deviation between sites, in the unit of the volumes.
    """

    sd: Floats
    persons: Groups | None = None
    rho: float = 0.0
    sites: Groups | None = None
    site_sd: float = 0.0

    def within_sites(self, columns: Floats) -> Floats:
        """(n, k) columns, or one (n,), after the steps for spread and visits, before that for sites."""
        return self._visits((columns.T / self.sd).T)

    def _visits(self, scaled: Floats) -> Floats:
        """The inverse square root of the correlation of visits, times columns; it is symmetric."""
        if self.persons is None or self.rho == 0.0:
            return np.asarray(scaled)
        one = 1.0 / np.sqrt(1.0 - self.rho)
        together = 1.0 / np.sqrt(1.0 - self.rho + self.persons.sizes * self.rho)
        means = (self.persons.sums(scaled).T * ((together - one) / self.persons.sizes)).T
        return np.asarray(one * scaled + self.persons.spread_out(means))

    def __call__(self, columns: Floats) -> Floats:
        """(n, k) columns (n, k) times the inverse square root of the covariance."""
        scaled = self.within_sites(columns)
        if self.sites is None or self.site_sd == 0.0:
            return scaled
        ones, weight = self._site_ones
        shrink = (1.0 - 1.0 / np.sqrt(1.0 + self.site_sd**2 * weight)) / weight
        along = self.sites.sums(ones[:, None] * scaled)
        return np.asarray(scaled - ones[:, None] * self.sites.spread_out(shrink[:, None] * along))

    def log_determinant(self) -> float:
        """Logarithm of the determinant of the covariance."""
        total = 2.0 * float(np.log(self.sd).sum())
        if self.persons is not None and self.rho > 0.0:
            sizes = self.persons.sizes
            total += float(((sizes - 1) * np.log(1 - self.rho) + np.log(1 - self.rho + sizes * self.rho)).sum())
        if self.sites is not None and self.site_sd > 0.0:
            total += float(np.log1p(self.site_sd**2 * self._site_ones[1]).sum())
        return total

    def loss(self, residuals: Floats) -> float:
        """Minus twice the logarithm of the Gaussian likelihood of residuals (n,), without its constant."""
        scaled = self.within_sites(residuals)
        squares = float(scaled @ scaled)
        if self.sites is not None and self.site_sd > 0.0:
            ones, weight = self._site_ones
            along = self.sites.sums(ones * scaled)
            squares -= float((along**2 / (self.site_sd**-2 + weight)).sum())
        return squares + self.log_determinant()

    def loss_slopes(self, residuals: Floats) -> tuple[Floats, float]:
        """Derivatives of `loss`.

        Returns
        -------
        by_log_sd : (n,) float
            By the logarithm of each observation's standard deviation.
        by_log_site_sd : float
            By the logarithm of the sites'; 0 without sites.
        """
        # d loss = tr(V^-1 dV) - r' V^-1 dV V^-1 r; V^-1 by Sherman and Morrison's formula, site by site.
        solved = self._visits(self.within_sites(residuals)) / self.sd
        if self.sites is None or self.site_sd == 0.0:
            return np.asarray(2.0 - 2.0 * solved * residuals), 0.0
        between = self.site_sd**2
        ones = self._visits(self.within_sites(np.ones(len(self.sd)))) / self.sd
        weight, along = self.sites.sums(ones), self.sites.sums(solved)
        grown = 1.0 + between * weight
        solved = solved - ones * self.sites.spread_out(between * along / grown)
        total = along / grown
        share = 1.0 - between * ones / self.sites.spread_out(grown)
        by_log_sd = 2.0 * share - 2.0 * solved * (residuals - between * self.sites.spread_out(total))
        return np.asarray(by_log_sd), float(2.0 * between * (weight / grown - total**2).sum())

    def site_shifts(self, residuals: Floats) -> tuple[Floats, Floats]:
        """Best linear predictors of the sites' shifts, and their posterior standard deviations.

        Parameters
        ----------
        residuals : (n,) float
            Volumes less the curve.

        Returns
        -------
        shifts, sd : (sites,) float
            In the unit of the volumes.
        """
        assert self.sites is not None
        ones, weight = self._site_ones
        along = self.sites.sums(ones * self.within_sites(residuals))
        between = self.site_sd**2
        return between * along / (1 + between * weight), np.sqrt(between / (1 + between * weight))

    @cached_property
    def _site_ones(self) -> tuple[Floats, Floats]:
        """The column of ones (n,) after the first steps, and its squared length in each site (sites,)."""
        assert self.sites is not None
        ones = self.within_sites(np.ones(len(self.sd)))
        return ones, self.sites.sums(ones**2)


def unit(count: int) -> Whitening:
    """Independent observations of spread 1: the map is the identity."""
    return Whitening(np.ones(count))
