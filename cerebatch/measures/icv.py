"""Intracranial volume from the scale of the affine (Buckner et al. 2004).

A head that has to grow a lot to fit the template is small. The line was calibrated on synthetic heads made
from 16 label maps of adults with counted intracranial volumes of 1401 to 1754 cm3, with and without skull;
`make proof-foundation` measures it again. Beyond that range it leans towards the middle.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from cerebatch.spatial.space import Affine

METHOD = "affine scale (Buckner et al. 2004), line calibrated on 16 label maps of adults"

SLOPE_CM3, INTERCEPT_CM3 = 1285.0, 539.0
"""ICV = intercept + slope / determinant of the affine native -> MNI."""

ERROR_SD_PERCENT = 4.0
"""Standard deviation of the error of a head that the line was not fitted on."""


class Icv(BaseModel):
    """An intracranial volume and where it comes from; the names are those of the sidecars.

    Attributes
    ----------
    Method : str
        Begins with "affine" or "network". Volumes in per cent of different methods must not be mixed.
    VolumeCM3 : float
    ErrorPercentSD : float or None
        Standard deviation of the error; None where it was not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    Method: str
    VolumeCM3: float
    ErrorPercentSD: float | None


def from_affine(mni_from_native: Affine) -> Icv:
    """The estimate from the scale of an affine.

    Parameters
    ----------
    mni_from_native : (4, 4) float
    """
    return Icv(Method=METHOD, VolumeCM3=icv_cm3(mni_from_native), ErrorPercentSD=ERROR_SD_PERCENT)


def icv_cm3(mni_from_native: Affine) -> float:
    """Intracranial volume in cm3.

    Parameters
    ----------
    mni_from_native : (4, 4) float
    """
    return INTERCEPT_CM3 + SLOPE_CM3 / float(np.linalg.det(mni_from_native[:3, :3]))
