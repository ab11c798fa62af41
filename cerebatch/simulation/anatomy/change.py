"""An anatomy at an age: what lies at a point of a person's cerebellum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.labels import LABELS
from cerebatch.simulation.anatomy.anatomy import CODE_BITS, QUANTILES, WHITE_BIT, Anatomy, strengths
from cerebatch.simulation.anatomy.lifecourse import Body
from cerebatch.spatial.space import LabelMap

LEAST_SHARE, GREATEST_SHARE = 0.0, 0.7
"""Of a lobule that fissures may take."""

_GREATEST_LOG_RATIO = 0.7


@dataclass(frozen=True)
class Change:
    """What a body does to an anatomy.

    Attributes
    ----------
    anatomy : Anatomy
    flow : (3, x, y, z) float32
        From a person's place to the place of the anatomy that is found there, voxels, on the grid of `Anatomy.flow`.
    cuts_mm : (27,) float32
        Depth of each code below which there is no tissue.
    """

    anatomy: Anatomy
    flow: NDArray[np.float32]
    cuts_mm: NDArray[np.float32]

    @classmethod
    def of(cls, anatomy: Anatomy, body: Body) -> Change:
        """Let an anatomy become a body's.

        A lobule loses to fissures the anatomy's own share less what is closed in children, and what has opened. The
        flow is asked for the rest of its volume, and the fissures for what the flow could not give.
        """
        white = np.array([label.lobe == "white_matter" for label in LABELS])
        fissures = np.where(
            white, 0.0, anatomy.own_share * (1 - body.child_closed) + (1 - anatomy.own_share) * body.opened
        )
        kept = body.volumes * (1 - anatomy.own_share)
        wanted = np.clip(np.log(kept / (1 - fissures)), -_GREATEST_LOG_RATIO, _GREATEST_LOG_RATIO)
        strength = strengths(anatomy, wanted)
        done = np.exp(anatomy.response @ strength)
        fissures = np.where(white, 0.0, np.clip(1 - kept / done, LEAST_SHARE, GREATEST_SHARE))
        at = np.linspace(0, 1, QUANTILES)
        cuts = [np.interp(share, at, depths) for share, depths in zip(fissures, anatomy.depths_mm, strict=True)]
        cuts_mm = np.where(white, -np.inf, cuts)
        # A place of the person shows the anatomy from further in where the lobule has grown, from further out where
        # it has shrunk: the divergence is that of the way back.
        flow = np.zeros(anatomy.flow.shape[1:], dtype=np.float32)
        for one, field in zip(strength, anatomy.flow, strict=True):
            flow -= np.float32(one) * field
        return cls(anatomy, flow, np.concatenate([[np.inf], cuts_mm]).astype(np.float32))

    def displacement(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement (N, 3) in voxels of the anatomy at places (N, 3), voxel indices of the anatomy."""
        step = self.anatomy.flow_step
        at = (index.T - (step - 1) / 2) / step
        return np.stack([ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in self.flow], axis=1)

    def look_up(self, index: NDArray[np.float32]) -> tuple[LabelMap, NDArray[np.bool_]]:
        """Codes and white matter at places of the anatomy.

        Parameters
        ----------
        index : (3, ...) float32
            Voxel indices of the anatomy, displacement included.

        Returns
        -------
        lobules : (...) uint8
            An arbor vitae has the code of its lobule; fissures and surroundings are 0.
        white : (...) bool
        """
        shape = index.shape[1:]
        flat = index.reshape(3, -1)
        found = ndimage.map_coordinates(self.anatomy.cells, flat, order=0, mode="constant")
        inside = np.flatnonzero(found)
        codes = found[inside]
        depth = ndimage.map_coordinates(self.anatomy.depth_mm, flat[:, inside], order=1, mode="nearest")
        tissue = depth > self.cuts_mm[codes & CODE_BITS]
        lobules = np.zeros(flat.shape[1], dtype=np.uint8)
        white = np.zeros(flat.shape[1], dtype=bool)
        lobules[inside[tissue]] = codes[tissue] & CODE_BITS
        white[inside[tissue]] = (codes[tissue] & WHITE_BIT) > 0
        return lobules.reshape(shape), white.reshape(shape)
