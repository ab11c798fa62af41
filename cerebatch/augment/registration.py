"""What brings a labelled case onto a target: greedy, or the registration network in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.atlas.registering import REGISTERED_MM, register_cases
from cerebatch.networks.auxiliary.loading import helper_card, register_by
from cerebatch.spatial.deformable import by_greedy
from cerebatch.spatial.greedy_bridge import GreedySchedule
from cerebatch.spatial.space import Field, Volume

_SCHEDULE = GreedySchedule(
    "NCC", iterations=(100, 50, 10), smoothing_mm=None, radius=2, affine_iterations=(100, 50, 10)
)
"""As greedy's authors recommend (Yushkevich et al. 2016, and the tutorial of greedy): 12 parameters, then the
deformation, NCC in cubes of 5 voxels weighted by the mask, 100x50x10 steps, their smoothing."""

_TRIAL = replace(_SCHEDULE, iterations=(100,), affine_iterations=(100,))
"""Voxels of 4 mm are the coarsest of the three levels already; on coarser ones the affine lost 7 of 12 scans."""


def schedule(resolution: float) -> GreedySchedule:
    """How greedy registers cases at a resolution in millimetres."""
    return _TRIAL if resolution > 1 else _SCHEDULE


@dataclass(frozen=True)
class Registration:
    """The tool of a set, and how it is called.

    Attributes
    ----------
    resolution : float
        Voxel edge of the set in millimetres. Registered is on 1 mm, or on the grid itself where that is coarser.
    weights : Path, optional
        Of the registration network; without them greedy registers.
    """

    resolution: float
    weights: Path | None = None

    def require(self) -> None:
        """Refuse weights that cannot register at this resolution.

        Raises
        ------
        WeightsError
            They are of another network or resolution.
        """
        if self.weights is not None:
            helper_card(self.weights, "registration", max(REGISTERED_MM, self.resolution))

    def told(self) -> dict[str, str]:
        """Tool, version and command, as every case of the set tells them; a network's version is its digest."""
        if self.weights is None:
            command = " ; ".join(schedule(self.resolution).commands())
            return {"tool": "greedy", "tool_version": version("picsl-greedy"), "command": command}
        digest = helper_card(self.weights, "registration").sha256
        return {"tool": "registration network", "tool_version": digest, "command": "one pass, no affine"}

    def field(self, target: Volume, case: Volume, region: NDArray[np.bool_], seed: int) -> Field:
        """Displacement that brings a case onto a target.

        Parameters
        ----------
        target, case : (X, Y, Z) float32
            T1w images in the box.
        region : (X, Y, Z) bool
            Where they are compared.
        seed : int
            Of greedy's noise and sampling.

        Returns
        -------
        field : (X, Y, Z, 3) float32
            In voxels: what lies at ``index + field[index]`` in the case comes to ``index``.

        Raises
        ------
        StageError
            Greedy failed.
        WeightsError
            The weights cannot be used.
        """
        by = by_greedy(schedule(self.resolution), seed) if self.weights is None else register_by(self.weights)
        (field,) = register_cases(target, [case], region, self.resolution, register=by)
        return _on_grid(field, target.shape)


def _on_grid(field: Field, shape: tuple[int, ...]) -> Field:
    """A field on the grid of the images; both grids share their outer faces."""
    factor = shape[0] // field.shape[0]
    if factor == 1:
        return field
    fine: Field = ndimage.zoom(field, (factor, factor, factor, 1), order=1, mode="nearest", grid_mode=True)
    return fine
