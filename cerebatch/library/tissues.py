"""Tissues of a labelled case and the intensity that each has in the canonical rendering.

One intensity a tissue and never one a lobule: a border that only the simulator knows must not be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cerebatch.intensity.tissue import TARGETS, Contrast
from cerebatch.spatial.space import Volume

TISSUES = ("air", "CSF", "GM", "WM", "bone", "fat", "muscle", "vessel")
"""Fat stands for skin and marrow as well, vessel for veins, mucosa and the eye."""

INTENSITIES: dict[Contrast, dict[str, float]] = {
    "T1w": {"air": 0.0, "bone": 20.0, "fat": 300.0, "muscle": 120.0, "vessel": 60.0},
    "T2w": {"air": 0.0, "bone": 20.0, "fat": 180.0, "muscle": 80.0, "vessel": 60.0},
}
for _contrast, _target in TARGETS.items():
    INTENSITIES[_contrast] |= {"CSF": _target.csf, "GM": _target.gm, "WM": _target.wm}

_CODES = {
    "air": (0,),
    "CSF": (4, 5, 14, 15, 24, 30, 31, 43, 44, 62, 63, 72),
    "GM": (3, 8, 10, 11, 12, 13, 17, 18, 25, 26, 42, 47, 49, 50, 51, 52, 53, 54, 57, 58, 80, 136, 137, 163, 164),
    "WM": (2, 7, 16, 28, 41, 46, 60, 77, 85, 251, 252, 253, 254, 255, 512),
    "bone": (515, 530),
    "fat": (511, 516),
    "muscle": (507,),
    "vessel": (502, 506, 508, 509, 514),
}

TISSUE_OF_CODE: dict[int, int] = {code: TISSUES.index(name) for name, codes in _CODES.items() for code in codes}
"""Code of a head map (FreeSurfer below 200, SynthSeg's from 500 on) -> index of `TISSUES`."""


def rendered(fractions: Mapping[str, Volume], contrast: Contrast) -> Volume:
    """Image of a head: each voxel the mean of its tissues.

    Parameters
    ----------
    fractions : mapping
        Tissue -> its share of each voxel, (X, Y, Z), 0 to 1.
    contrast : {"T1w", "T2w"}
        The brain has the targets of the normalisation (`tissue.TARGETS`).
    """
    image: Volume = sum(
        (np.float32(INTENSITIES[contrast][name]) * fraction for name, fraction in fractions.items()),
        start=np.zeros((), dtype=np.float32),
    )
    return image
