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
        What a site adds to the curve, in the unit of the volumes, and its posterior standard deviation.
    log_scales : (sites,) float
        Logarithm of the factor of the spread.
    between_sd, scale_sd : float
        Standard deviations between sites of shifts and of logarithms of factors.
    """

    names: tuple[str, ...]
    shifts: Floats
    shift_sd: Floats
    log_scales: Floats
    between_sd: float
    scale_sd: float

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

    def with_site(self, name: str, shift: float, shift_sd: float, log_scale: float) -> SiteEffects:
        """The same sites and one more; one of the same name is replaced."""
        kept = [k for k, known in enumerate(self.names) if known != name]
        return replace(
            self,
            names=(*(self.names[k] for k in kept), name),
            shifts=np.append(self.shifts[kept], shift),
            shift_sd=np.append(self.shift_sd[kept], shift_sd),
            log_scales=np.append(self.log_scales[kept], log_scale),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "shifts": self.shifts.tolist(),
            "shift_sd": self.shift_sd.tolist(),
            "log_scales": self.log_scales.tolist(),
            "between_sd": self.between_sd,
            "scale_sd": self.scale_sd,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SiteEffects:
        columns = {key: np.array(content[key], dtype=np.float64) for key in ("shifts", "shift_sd", "log_scales")}
        return cls(
            tuple(content["names"]),
            between_sd=float(content["between_sd"]),
            scale_sd=float(content["scale_sd"]),
            **columns,
        )
