"""How large each structure is and how far its fissures are open, at an age.

The rates are chosen, not measured. Their direction follows what is published: the cerebellum grows into the teens,
in girls for a shorter time than in boys, and is larger in men (Tiemeier et al. 2010, NeuroImage 49:63-70); grey
matter shrinks by about 2.5% in ten years, in Crus I and II and the vermis nearly twice as fast (Yu et al. 2017,
Cerebellum 16:388-397), most of all in VI and Crus I (Cui et al. 2020, QIMS 10:137-148); Alzheimer's disease takes more
from the posterior lobe, VI and Crus I (Gellersen et al. 2021). For autism a small effect is chosen, though the people
of ABIDE showed none (Traut et al. 2018, Biological Psychiatry).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.labels import LABELS, STRUCTURES

PerLabel = NDArray[np.float64]
"""One number for each of the 26 labels, in the order of their codes."""


@dataclass(frozen=True)
class Rates:
    """What ageing does to one structure.

    Attributes
    ----------
    growth : float
        Logarithm of the size that is missing at birth, relative to the head's.
    decline : float
        Loss of log volume in ten years of old age.
    spread : float
        Standard deviation of log volume between people, besides what all structures share.
    dementia : float
        Loss of log volume with Alzheimer's disease.
    autism : float
        Loss of log volume with autism spectrum disorder.
    """

    growth: float
    decline: float
    spread: float = 0.05
    dementia: float = 0.02
    autism: float = 0.0


RATES = {
    "I-II": Rates(0.16, 0.030, 0.10, 0.01),
    "III": Rates(0.17, 0.032, 0.07, 0.01),
    "IV": Rates(0.18, 0.034, 0.06, 0.01),
    "V": Rates(0.19, 0.038),
    "VI": Rates(0.24, 0.052, dementia=0.06),
    "Crus I": Rates(0.28, 0.058, dementia=0.07, autism=0.02),
    "Crus II": Rates(0.28, 0.050, dementia=0.05, autism=0.02),
    "VIIB": Rates(0.26, 0.036, dementia=0.03),
    "VIIIA": Rates(0.24, 0.030),
    "VIIIB": Rates(0.23, 0.026),
    "IX": Rates(0.21, 0.028, 0.07),
    "X": Rates(0.12, 0.014, 0.09, 0.0),
    "White matter": Rates(0.30, 0.022, dementia=0.01),
}
"""Of each structure, the same on both sides."""

STAGE = {"CN": 0.0, "ASD": 0.0, "SMC": 0.1, "EMCI": 0.25, "MCI": 0.4, "LMCI": 0.55, "AD": 1.0}
"""How far each diagnosis is on the way to Alzheimer's disease."""

GROWTH_YEARS = {"F": 3.6, "M": 4.6}
WHITE_GROWTH_YEARS = 9.0
DECLINE_FROM_YEARS, DECLINE_SOFTNESS_YEARS = 45.0, 10.0
FISSURE_SHARE = 0.7
"""Part of the loss in ageing and disease that opens fissures; the rest is a smooth shrinking."""

CHILD_CLOSED, CHILD_CLOSED_YEARS = 0.6, 12.0
"""Part of the adult's fissures that is closed at birth, and how fast that passes."""

HEAD_AT_BIRTH, HEAD_YEARS = 0.28, 1.5
HEAD_OF_SEX = {"F": 0.94, "M": 1.06}
HEAD_SPREAD = 0.07
CEREBELLUM_POWER = 0.8
"""Cerebella of large heads are smaller for their head: their volume goes with this power of the head's."""

COMMON_SPREAD, SIDE_SPREAD = 0.05, 0.02


@dataclass(frozen=True)
class Constitution:
    """What a person is born with; age, sex and disease come on top.

    Attributes
    ----------
    head : float
        Log volume of the head against others of the same age and sex.
    structures : (26,) float
        Log volume of each structure against others of the same head.
    """

    head: float
    structures: PerLabel

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Constitution:
        """Draw a person's."""
        head, common = rng.normal(0, (HEAD_SPREAD, COMMON_SPREAD))
        own = rng.normal(0, [RATES[name].spread for name in STRUCTURES])
        sides = rng.normal(0, SIDE_SPREAD, len(LABELS))
        return cls(float(head), common + np.tile(own, 2) + sides)


@dataclass(frozen=True)
class Body:
    """A person's head and cerebellum at one age, relative to the anatomy that it is made from.

    Attributes
    ----------
    head : float
        Volume of the head, 1 for a head as large as the anatomy's.
    volumes : (26,) float
        Volume of each structure in a head of the anatomy's size, 1 where it is as large.
    child_closed : float
        Part of the anatomy's own fissures that is still closed.
    opened : (26,) float
        Share of each lobule that ageing and disease have given to fissures.
    """

    head: float
    volumes: PerLabel
    child_closed: float
    opened: PerLabel


def body(constitution: Constitution, age_years: float, sex: str, diagnosis: str = "CN") -> Body:
    """A person at an age.

    With H the head's volume and A decades of decline,

        H = (1 - (1 - b) exp(-age / t)) s exp(h),    A = softplus((age - 45) / 10),
        log v = c - g exp(-age / T) - loss - 0.2 log(s exp(h)),    loss = d A + p,

    where b, t, T, g, d are chosen rates, s the sex's head, p the disease's loss, h and c the person's own. Of the
    loss 70% open fissures; in children part of the fissures is closed still.

    Parameters
    ----------
    constitution : Constitution
    age_years : float
    sex : str
        "F" or "M".
    diagnosis : str
        One of `table1.DIAGNOSES`.
    """
    rates = [RATES[label.structure] for label in LABELS]
    white = np.array([label.lobe == "white_matter" for label in LABELS])
    own_head = np.log(HEAD_OF_SEX[sex]) + constitution.head
    decades = DECLINE_SOFTNESS_YEARS / 10 * np.logaddexp(0, (age_years - DECLINE_FROM_YEARS) / DECLINE_SOFTNESS_YEARS)
    loss = np.array([rate.decline * decades + rate.dementia * STAGE[diagnosis] for rate in rates])
    if diagnosis == "ASD":
        loss += np.array([rate.autism for rate in rates])
    young = np.exp(-age_years / np.where(white, WHITE_GROWTH_YEARS, GROWTH_YEARS[sex]))
    missing = np.array([rate.growth for rate in rates]) * young
    volumes = np.exp(constitution.structures - missing - loss - (1 - CEREBELLUM_POWER) * own_head)
    grown = 1 - (1 - HEAD_AT_BIRTH) * np.exp(-age_years / HEAD_YEARS)
    return Body(
        head=float(grown * np.exp(own_head)),
        volumes=volumes,
        child_closed=float(CHILD_CLOSED * np.exp(-age_years / CHILD_CLOSED_YEARS)),
        opened=np.where(white, 0.0, FISSURE_SHARE * -np.expm1(-loss)),
    )
