"""What is fitted: volumes as they are, or with the size of the head taken out."""

from __future__ import annotations

import numpy as np

from lifespan.arrays import Floats
from lifespan.models.basis import AgeBasis

ABSOLUTE, PERCENT, POWER = "absolute", "percent_icv", "power_icv"
UNITS = {ABSOLUTE: "cm3", PERCENT: "%", POWER: "cm3"}
MEASURES = {
    ABSOLUTE: "volume in cm3",
    PERCENT: "volume in per cent of the intracranial volume",
    POWER: "volume in cm3 at the model's reference intracranial volume, by a power law",
}
ICV_CHOICES = {"ratio": (ABSOLUTE, PERCENT), "power": (ABSOLUTE, POWER), "none": (ABSOLUTE,)}
"""The words of --icv, and what each fits."""


def measured(
    measure: str, volume_cm3: Floats, icv_cm3: Floats, exponent: float | None, reference_icv_cm3: float | None
) -> Floats:
    """A measure from volumes and intracranial volumes (n,).

    Parameters
    ----------
    measure : str
    volume_cm3, icv_cm3 : (n,) float
    exponent, reference_icv_cm3 : float or None
        Of the power law: volume * (reference / ICV) ** exponent.
    """
    if measure == ABSOLUTE:
        return volume_cm3
    if measure == PERCENT:
        return np.asarray(100.0 * volume_cm3 / icv_cm3)
    assert exponent is not None and reference_icv_cm3 is not None
    return np.asarray(volume_cm3 * (reference_icv_cm3 / icv_cm3) ** exponent)


def icv_exponent(age: Floats, volume_cm3: Floats, icv_cm3: Floats, female: Floats) -> float:
    """Exponent of ICV in a structure's volume, at the same age and sex.

    Least squares of log volume on log ICV, cubic age and sex. Noise in the ICV draws it towards 0.

    Parameters
    ----------
    age, volume_cm3, icv_cm3 : (n,) float
    female : (n,) float
        1 for women, 0 for men.
    """
    columns = [AgeBasis.of(age).powers(age, 3), np.log(icv_cm3)]
    if 0.0 < female.mean() < 1.0:
        columns.append(female)
    solved, *_ = np.linalg.lstsq(np.column_stack(columns), np.log(volume_cm3), rcond=None)
    return float(solved[4])
