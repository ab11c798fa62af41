"""A curve of one structure for one group of people: mean, spread, sites, shape; and what was decided on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lifespan.arrays import Floats
from lifespan.grouping import Groups
from lifespan.models.correlation import VisitCorrelation
from lifespan.models.decisions import Decision
from lifespan.models.mean import MeanCurve
from lifespan.models.prediction import Prediction
from lifespan.models.shape import Shape
from lifespan.models.sites import SiteEffects
from lifespan.models.spread import Spread
from lifespan.models.whitening import Whitening


@dataclass(frozen=True)
class Curve:
    """One fitted curve.

    Attributes
    ----------
    structure, measure, group : str
        `measure` is a name of `lifespan.measures`, `group` is all, female or male.
    mean : MeanCurve
    spread : Spread
        Within a site, both parts of a person's visits together.
    observations, people : int
        Rows and persons that it was fitted to.
    age_low, age_high : float
        Years.
    rho : float
        Correlation of two visits of one person.
    sites : SiteEffects or None
    shape : Shape or None
    sampling : float
        kurtosis - 1 of the standardised residuals.
    icv_exponent : float or None
        Power of the ICV that was divided by.
    tails : float or None
        Degrees of freedom of the residuals' Student's t, where they were fitted by it.
    log_volume : bool
        Whether mean, spread, sites and shape are those of the logarithm of the volume.
    correlation : VisitCorrelation or None
        Of the normal scores of two visits, by the years between them.
    decisions : tuple of Decision
    """

    structure: str
    measure: str
    group: str
    mean: MeanCurve
    spread: Spread
    observations: int
    people: int
    age_low: float
    age_high: float
    rho: float = 0.0
    sites: SiteEffects | None = None
    shape: Shape | None = None
    sampling: float = 2.0
    icv_exponent: float | None = None
    tails: float | None = None
    log_volume: bool = False
    correlation: VisitCorrelation | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def freedom(self) -> float:
        """Degrees of freedom: people less parameters of the mean; fewer where the residuals have heavy tails."""
        known = float(max(1, self.people - self.mean.parameters))
        return known if self.tails is None else min(known, self.tails)

    def fitted_scale(self, value: Floats) -> Floats:
        """Values as the curve was fitted to them: their logarithm where `log_volume` is set."""
        return np.asarray(np.log(value)) if self.log_volume else value

    def predict(self, age: Floats, site: list[str] | None = None) -> Prediction:
        """Distribution of a new person's volume.

        Parameters
        ----------
        age : (n,) float
            Years.
        site : list of n str, optional
            Without it, and for sites the model does not know, a random site is meant: the bounds are wider.
        """
        location, variance = self.mean.value(age), self.spread.sd(age) ** 2
        freedom, doubt = np.full(len(age), self.freedom), self.mean.variance(age)
        if self.sites is not None:
            names = site if site is not None else [""] * len(age)
            shift, _, factor = self.sites.lookup(names)
            doubt = self.sites.doubt_at(names, self.mean.jacobian(age), self.mean.covariance)
            known = np.array([name in self.sites.names for name in names], dtype=np.bool_)
            random, random_freedom = self.sites.random_site(variance)
            location = location + shift
            variance = np.where(known, variance * factor**2, random)
            freedom = np.where(known, freedom, np.minimum(freedom, random_freedom))
        shape = None if self.shape is None else self.shape.at(self.mean.basis.scaled(age))
        scale = np.sqrt(variance + doubt)
        return Prediction(location, scale, freedom, shape, self.log_volume)

    def transferred(self, name: str, age: Floats, residuals: Floats, sd: Floats, persons: Groups | None) -> Curve:
        """The same curve with one more site, known by its controls.

        The shift is the best linear predictor from the controls' residuals under the model's variance between sites;
        the factor of the spread is shrunk by its own variance between sites. No control: nothing changes.

        Parameters
        ----------
        name : str
        age : (n,) float
            Of the controls, years.
        residuals, sd : (n,) float
            Of the controls at the new site: volume less the curve of their group, and its spread at their age.
        persons : Groups or None
            Visits of one person.
        """
        assert self.sites is not None
        if not len(residuals):
            return self
        everyone, log_scale = Groups(np.zeros(len(residuals), dtype=np.intp)), 0.0
        for _ in range(5):
            whitening = Whitening(sd * np.exp(log_scale), persons, self.rho, everyone, self.sites.between_sd)
            shift, shift_sd = whitening.site_shifts(residuals)
            log_scale = self._log_scale((residuals - shift[0]) / sd, float(shift_sd[0]) / float(np.mean(sd)))
        # By what a curve is wrong at the controls' ages the shift is wrong the other way, less what it is shrunk by.
        ones = whitening.within_sites(np.ones(len(age)))
        pull = ones**2 / (np.sum(ones**2) + self.sites.between_sd**-2.0) if self.sites.between_sd > 0 else 0.0 * ones
        at = pull @ self.mean.jacobian(age)
        of_curve = self.mean.covariance if self.sites.of_curve is None else self.sites.of_curve
        marginal = float(np.sqrt(shift_sd[0] ** 2 + at @ of_curve @ at))
        return replace(self, sites=self.sites.with_site(name, float(shift[0]), marginal, log_scale, -of_curve @ at))

    def _log_scale(self, standardised: Floats, uncertain: float) -> float:
        """Shrunk logarithm of a new site's factor of the spread."""
        assert self.sites is not None
        between = (2.0 * self.sites.scale_sd) ** 2
        noise = self.sampling / len(standardised)
        log_variance = float(np.log(max(float(np.mean(standardised**2)) + uncertain**2, 1e-6))) + noise / 2.0
        return 0.5 * log_variance * between / (between + noise)

    def to_json(self) -> dict[str, Any]:
        return {
            "structure": self.structure,
            "measure": self.measure,
            "group": self.group,
            "observations": self.observations,
            "people": self.people,
            "age_years": [self.age_low, self.age_high],
            "mean": self.mean.to_json(),
            "log_sd": self.spread.coefficients.tolist(),
            "log_sd_log_age": self.spread.log_age,
            "visit_correlation": self.rho,
            "sites": self.sites.to_json() if self.sites else None,
            "shape": self.shape.to_json() if self.shape else None,
            "tails": self.tails,
            "log_volume": self.log_volume,
            "visit_correlation_by_years": self.correlation.to_json() if self.correlation else None,
            "sampling": self.sampling,
            "icv_exponent": self.icv_exponent,
            "decisions": [decision.to_json() for decision in self.decisions],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any], version: int) -> Curve:
        """A curve of a model file of a format version."""
        mean = MeanCurve.from_json(content["mean"])
        low, high = content["age_years"]
        return cls(
            str(content["structure"]),
            str(content["measure"]),
            str(content["group"]),
            mean,
            Spread(mean.basis, np.array(content["log_sd"], dtype=np.float64), content.get("log_sd_log_age", False)),
            int(content["observations"]),
            int(content["people"]),
            float(low),
            float(high),
            rho=float(content["visit_correlation"]),
            sites=SiteEffects.from_json(content["sites"]) if content["sites"] else None,
            shape=Shape.from_json(content["shape"], version) if content["shape"] else None,
            sampling=float(content["sampling"]),
            icv_exponent=content["icv_exponent"],
            tails=content.get("tails"),
            log_volume=content.get("log_volume", False),
            correlation=VisitCorrelation.from_json(by_years)
            if (by_years := content.get("visit_correlation_by_years"))
            else None,
            decisions=tuple(Decision(**decision) for decision in content["decisions"]),
        )
