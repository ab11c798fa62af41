"""Intracranial volume from the scale of the affine (Buckner et al. 2004).

A head that has to grow a lot to fit the template is small. The factor was calibrated on synthetic heads
made from label maps with known intracranial volume; `make proof-foundation` measures it again.
"""

from __future__ import annotations

import numpy as np

from cerebatch.space import Affine

METHOD = "affine scale (Buckner et al. 2004)"

ERROR_SD_PERCENT = 0.0

TEMPLATE_ICV_CM3 = 1950.0
"""Volume that divided by the determinant gives the intracranial volume."""


def icv_cm3(mni_from_native: Affine) -> float:
    """Intracranial volume in cm3.

    Parameters
    ----------
    mni_from_native : (4, 4) float
    """
    return TEMPLATE_ICV_CM3 / float(np.linalg.det(mni_from_native[:3, :3]))
