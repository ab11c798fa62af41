"""Scanners: each site has one, and its scans are alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from zlib import crc32

import numpy as np

ORIENTATIONS = ("RAS", "LAS", "LPS", "PSR")
"""Orders of axes that a scanner may store."""

VOXELS = ((1.0, 1.0, 1.0), (0.94, 0.94, 1.2), (1.0, 1.0, 1.2), (0.9, 0.9, 0.9), (1.1, 1.1, 1.0))
"""Edges along right-left, back-front and foot-head against the size asked for; all between 0.9 and 1.2."""

LARGEST_VOXEL_MM = 3.5
"""`run` refuses larger ones."""


@dataclass(frozen=True)
class Scanner:
    """What a site's scans have in common.

    Attributes
    ----------
    site : str
    voxel_mm : (3,) tuple of float
        Edges along right-left, back-front and foot-head.
    orientation : str
        Order of the stored axes.
    contrast : float
        Exponent of brightness: above 1 tissues differ more.
    snr : float
        White matter in T1 over the standard deviation of the noise.
    bias : float
        Standard deviation of the logarithm of the receiver's field.
    smoothing_mm : float
        Full width at half maximum of a Gaussian, besides the voxel itself.
    brightness : float
        Stored value of white matter in T1.
    stretch : (3,) tuple of float
        Gradients that are not quite calibrated: a millimetre along each axis is shown so long.
    """

    site: str
    voxel_mm: tuple[float, float, float]
    orientation: str
    contrast: float
    snr: float
    bias: float
    smoothing_mm: float
    brightness: float
    stretch: tuple[float, float, float]

    def row(self) -> dict[str, object]:
        """For a table."""
        plain = asdict(self)
        plain["voxel_mm"] = " ".join(f"{edge:.3f}" for edge in self.voxel_mm)
        plain["stretch"] = " ".join(f"{factor:.4f}" for factor in self.stretch)
        return {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in plain.items()}


def scanner_of(site: str, seed: int, voxel_mm: float) -> Scanner:
    """The scanner of a site.

    Parameters
    ----------
    site : str
    seed : int
        Of the cohort.
    voxel_mm : float
        Edge of the voxels asked for; a site's are up to a tenth smaller or a fifth larger, but not above
        `LARGEST_VOXEL_MM` unless asked for.
    """
    rng = np.random.default_rng([seed, crc32(site.encode())])
    largest = max(LARGEST_VOXEL_MM, voxel_mm)
    x, y, z = (min(voxel_mm * factor, largest) for factor in VOXELS[rng.integers(len(VOXELS))])
    orientation = ORIENTATIONS[rng.integers(len(ORIENTATIONS))]
    contrast = float(rng.uniform(0.85, 1.15))
    snr = float(rng.uniform(22, 45))
    bias = float(rng.uniform(0.03, 0.1))
    smoothing_mm = float(rng.uniform(0.2, 0.8) * voxel_mm)
    brightness = float(np.exp(rng.uniform(np.log(300), np.log(3000))))
    sx, sy, sz = (float(factor) for factor in np.clip(rng.normal(1, 0.005, 3), 0.985, 1.015))
    return Scanner(site, (x, y, z), orientation, contrast, snr, bias, smoothing_mm, brightness, (sx, sy, sz))
