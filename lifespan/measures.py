"""What is fitted: volumes as they are, or with the size of the head taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifespan.arrays import Floats

ABSOLUTE, PERCENT, POWER = "absolute", "percent_icv", "power_icv"
UNITS = {ABSOLUTE: "cm3", PERCENT: "%", POWER: "cm3"}
MEASURES = {
    ABSOLUTE: "volume in cm3",
    PERCENT: "volume in per cent of the intracranial volume",
    POWER: "volume in cm3 at the model's reference intracranial volume, by a power law",
}
_LEAST_FREEDOM = 20

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


def icv_exponent(
    age: Floats, volume_cm3: Floats, icv_cm3: Floats, sex: Sequence[str], site: Sequence[str] | None = None
) -> float:
    """Exponent of ICV in a structure's volume, at the same age, sex and site.

    Least squares of log volume on log ICV, cubic age, and a constant of each sex and site. Who has no known sex counts
    as a sex of its own: coded as a man, a woman's small head and cerebellum would pass for the effect of the head.
    Noise in the ICV draws the exponent towards 0.

    Parameters
    ----------
    age, volume_cm3, icv_cm3 : (n,) float
    sex : sequence of n str
        F, M or "".
    site : sequence of n str, optional
        Scanners that measure both volumes larger would pass for heads that are larger.
    """
    scaled = (age - age.mean()) / max(float(age.std()), 1e-9)
    columns = [np.vander(scaled, 4)[:, :3], _dummies(sex)]
    if site is not None:
        places = _dummies(site)
        if len(age) - places.shape[1] >= _LEAST_FREEDOM:
            columns.append(places[:, 1:])
    both = np.column_stack([np.log(icv_cm3), np.log(volume_cm3)])
    others = np.column_stack(columns)
    # What the other columns leave of both (Frisch and Waugh): some of those columns may be the same.
    left = both - others @ np.linalg.lstsq(others, both, rcond=None)[0]
    return float(left[:, 0] @ left[:, 1] / (left[:, 0] @ left[:, 0]))


def _dummies(names: Sequence[str]) -> Floats:
    """(n, values) one column a value: 1 where it stands."""
    values, index = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    return np.asarray(index[:, None] == np.arange(len(values)), dtype=np.float64)
