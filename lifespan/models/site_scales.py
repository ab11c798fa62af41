"""Each site's own factor of the spread, shrunk by what its people leave uncertain."""

from __future__ import annotations

import numpy as np

from lifespan.arrays import Floats
from lifespan.grouping import Groups

LARGEST_SCALE_SD = 0.4
"""Cap of the standard deviation between sites: a site one of it off has a spread 1.5 times as large. One wrong value in
a small site would otherwise pass for sites that differ without end."""


def site_scales(standardised: Floats, sites: Groups) -> tuple[Floats, float]:
    """Each site's factor of the spread, drawn towards 1.

    The logarithm of a variance of n values has a sampling variance of (kurtosis - 1) / n. What the sites' logarithms
    vary beyond that is variance between sites (DerSimonian and Laird, Controlled Clinical Trials 7, 1986, 177-188).

    Parameters
    ----------
    standardised : (n,) float
        Residuals over the spread, the sites' shifts taken out.
    sites : Groups

    Returns
    -------
    log_scales : (sites,) float
    scale_sd : float
        Standard deviation between sites of the logarithm, at most 0.4.
    """
    noise = log_variance_sampling(standardised) / sites.sizes
    variances = np.maximum(sites.sums(standardised**2) / sites.sizes, 1e-6)
    logs = np.log(variances) + noise / 2.0
    weights = 1.0 / noise
    centre = float((weights * logs).sum() / weights.sum())
    excess = float((weights * (logs - centre) ** 2).sum()) - (len(logs) - 1)
    room = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = min(max(0.0, excess / room) if room > 0 else 0.0, (2.0 * LARGEST_SCALE_SD) ** 2)
    return np.asarray(0.5 * (logs - centre) * between / (between + noise)), 0.5 * float(np.sqrt(between))


def log_variance_sampling(standardised: Floats) -> float:
    """kurtosis - 1 of standardised residuals (n,), at least the normal distribution's 2."""
    squares = standardised**2
    return max(2.0, float(np.mean(squares**2) / np.mean(squares) ** 2) - 1.0)
