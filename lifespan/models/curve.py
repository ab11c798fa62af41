"""A curve of one structure for one group of people: mean, spread, sites, shape; and what was decided on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.decisions import Decision
from lifespan.models.mean import MeanCurve
from lifespan.models.prediction import Prediction
from lifespan.models.shape import Shape
from lifespan.models.sites import SiteEffects
from lifespan.models.spread import Spread
from lifespan.models.whitening import Groups, Whitening


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
    decisions: tuple[Decision, ...] = ()

    @property
    def freedom(self) -> float:
        """Degrees of freedom: people less parameters of the mean."""
        return float(max(1, self.people - self.mean.parameters))

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
        if self.sites is not None:
            shift, shift_sd, factor = self.sites.lookup(site if site is not None else [""] * len(age))
            location, variance = location + shift, variance * factor**2 + shift_sd**2
        return Prediction(location, np.sqrt(variance + self.mean.variance(age)), self.freedom, self.shape)

    def transferred(self, name: str, residuals: Floats, sd: Floats, persons: Groups | None) -> Curve:
        """The same curve with one more site, known by its controls.

        The shift is the best linear predictor from the controls' residuals under the model's variance between sites;
        the factor of the spread is shrunk by its own variance between sites. No control: nothing changes.

        Parameters
        ----------
        name : str
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
        return replace(self, sites=self.sites.with_site(name, float(shift[0]), float(shift_sd[0]), log_scale))

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
            "visit_correlation": self.rho,
            "sites": self.sites.to_json() if self.sites else None,
            "shape": vars(self.shape) if self.shape else None,
            "sampling": self.sampling,
            "icv_exponent": self.icv_exponent,
            "decisions": [decision.to_json() for decision in self.decisions],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Curve:
        mean = MeanCurve.from_json(content["mean"])
        low, high = content["age_years"]
        return cls(
            str(content["structure"]),
            str(content["measure"]),
            str(content["group"]),
            mean,
            Spread(mean.basis, np.array(content["log_sd"], dtype=np.float64)),
            int(content["observations"]),
            int(content["people"]),
            float(low),
            float(high),
            rho=float(content["visit_correlation"]),
            sites=SiteEffects.from_json(content["sites"]) if content["sites"] else None,
            shape=Shape(**content["shape"]) if content["shape"] else None,
            sampling=float(content["sampling"]),
            icv_exponent=content["icv_exponent"],
            decisions=tuple(Decision(**decision) for decision in content["decisions"]),
        )
