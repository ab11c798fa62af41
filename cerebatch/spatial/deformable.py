"""What registers labelled cases to a scan voxel by voxel: greedy here, a network in `networks.auxiliary`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial import greedy_bridge
from cerebatch.spatial.greedy_bridge import GreedySchedule
from cerebatch.spatial.space import Field, Volume

REGISTRATION = GreedySchedule("NCC", iterations=(40, 30, 10), smoothing_mm=(2.0, 0.5), radius=2)

Register = Callable[[Volume, Sequence[Volume], NDArray[np.bool_], float, int], Iterable[Field]]
"""Scan, cases, region, voxel edge in mm, threads -> a field in voxels for each case, all on one grid."""


def by_greedy(schedule: GreedySchedule = REGISTRATION, seed: int = 0) -> Register:
    """Greedy as `register_cases` calls it.

    Parameters
    ----------
    schedule : GreedySchedule
    seed : int
        Of greedy's noise.
    """

    def register(
        scan: Volume, cases: Sequence[Volume], region: NDArray[np.bool_], voxel_mm: float, threads: int
    ) -> Iterator[Field]:
        for case in cases:
            yield greedy_bridge.register(
                [scan], [case], schedule, voxel_mm=voxel_mm, mask=region, threads=threads, seed=seed
            )

    return register
