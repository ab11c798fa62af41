"""Signal of a material in an inversion-prepared gradient echo (T1w) and a fast spin echo (T2w)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebatch.simulation.scenes.scene import MATERIALS

Signals = NDArray[np.float64]
"""One number for each of `MATERIALS`."""

_SPREAD = 0.04


@dataclass(frozen=True)
class QualityInputs:
    """What decides a material's signal at 3 T.

    Attributes
    ----------
    t1_ms, t2_ms : float
        Relaxation times. That of fat in T2 is the longer one that it shows in trains of echoes.
    density : float
        Protons, relative to water.
    """

    t1_ms: float
    t2_ms: float
    density: float


TYPICAL = {
    "air": QualityInputs(1000, 50, 0.0),
    "fluid": QualityInputs(4200, 1900, 1.0),
    "grey": QualityInputs(1450, 95, 0.82),
    "white": QualityInputs(900, 70, 0.70),
    "deep grey": QualityInputs(1220, 78, 0.78),
    "stem": QualityInputs(1000, 74, 0.73),
    "bone": QualityInputs(900, 12, 0.12),
    "fat": QualityInputs(370, 120, 0.85),
    "muscle": QualityInputs(1350, 38, 0.75),
    "vessel": QualityInputs(1700, 60, 0.50),
}
"""Rounded from what is commonly reported at 3 T."""


@dataclass(frozen=True)
class GradientEcho:
    """An inversion, a pause, a train of small excitations, a pause (MPRAGE).

    Attributes
    ----------
    repetition_ms, inversion_ms : float
        From inversion to inversion, and from inversion to the middle of the train.
    flip_degrees : float
    spacing_ms : float
        Between two excitations.
    excitations : int
    """

    repetition_ms: float
    inversion_ms: float
    flip_degrees: float
    spacing_ms: float = 7.0
    excitations: int = 160

    def signal(self, material: QualityInputs) -> float:
        """Transverse magnetisation at the middle of the train in the steady state.

        Free recovery is M -> 1 + (M - 1) exp(-t / T1). During the train M goes to
        m = (1 - e1) / (1 - e1 cos a) as (e1 cos a)^n after n excitations, e1 = exp(-spacing / T1).
        Each step is linear in M, and the steady state is the fixed point of one period (Deichmann et al. 2000,
        NeuroImage 12:112-127).
        """
        half = self.excitations // 2
        before_ms = self.inversion_ms - half * self.spacing_ms
        after_ms = self.repetition_ms - before_ms - self.excitations * self.spacing_ms
        decay = np.exp(-self.spacing_ms / material.t1_ms)
        cosine = np.cos(np.radians(self.flip_degrees))
        driven = (1 - decay) / (1 - decay * cosine)

        def recovered(m: float, time_ms: float) -> float:
            return float(1 + (m - 1) * np.exp(-time_ms / material.t1_ms))

        def excited(m: float, times: int) -> float:
            return float(driven + (m - driven) * (decay * cosine) ** times)

        def period(m: float) -> float:
            return recovered(excited(recovered(-m, before_ms), 2 * half), after_ms)

        offset = period(0.0)
        steady = offset / (1 - (period(1.0) - offset))
        at_centre = excited(recovered(-steady, before_ms), half)
        return float(material.density * abs(at_centre) * np.sin(np.radians(self.flip_degrees)))


@dataclass(frozen=True)
class SpinEcho:
    """A train of spin echoes.

    Attributes
    ----------
    repetition_ms, echo_ms : float
        The effective echo time.
    """

    repetition_ms: float
    echo_ms: float

    def signal(self, material: QualityInputs) -> float:
        """density (1 - exp(-TR / T1)) exp(-TE / T2)."""
        recovered = 1 - np.exp(-self.repetition_ms / material.t1_ms)
        return float(material.density * recovered * np.exp(-self.echo_ms / material.t2_ms))


Sequence = GradientEcho | SpinEcho


def drawn_materials(rng: np.random.Generator) -> dict[str, QualityInputs]:
    """A person's materials: each value some per cent off the typical one."""
    drawn = {}
    for name in MATERIALS:
        t1, t2, density = np.exp(rng.normal(0, (_SPREAD, _SPREAD, _SPREAD / 2)))
        one = TYPICAL[name]
        drawn[name] = QualityInputs(one.t1_ms * t1, one.t2_ms * t2, one.density * density)
    return drawn


def drawn_t1w(rng: np.random.Generator) -> GradientEcho:
    """An MPRAGE as sites set it."""
    return GradientEcho(float(rng.uniform(2100, 2500)), float(rng.uniform(900, 1080)), float(rng.uniform(7, 10)))


def drawn_t2w(rng: np.random.Generator) -> SpinEcho:
    """A fast spin echo as sites set it."""
    return SpinEcho(float(rng.uniform(3200, 6000)), float(rng.uniform(85, 115)))


def signals(sequence: Sequence, materials: dict[str, QualityInputs]) -> Signals:
    """Signal of each of `MATERIALS`, white matter 1."""
    found: Signals = np.array([sequence.signal(materials[name]) for name in MATERIALS], dtype=np.float64)
    return np.asarray(found / found[MATERIALS.index("white")])
