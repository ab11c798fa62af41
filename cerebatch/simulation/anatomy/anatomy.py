"""A labelled cerebellum that can be made older and younger.

Two fields say all of the fissures: to which lobule a place belongs when fissures are closed (`cells`), and how deep it
lies below the next fissure or surface (`depth_mm`). Tissue is where the depth exceeds a cut, and moving the cut opens
or closes the fissures of a lobule by less than a voxel. A third set of fields (`flow`) shrinks and swells lobules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cerebatch.labels import LABELS
from cerebatch.spatial.space import Grid, LabelMap, Volume

WHITE_BIT = np.uint8(32)
"""Added to the code of a voxel of white matter."""

CODE_BITS = np.uint8(31)

QUANTILES = 513
FLOW_MM = 3.0
"""About how far apart the places are where the flow is known."""

_RIDGE = 0.02


@dataclass(frozen=True)
class Anatomy:
    """Where everything is, and how it gives way.

    Attributes
    ----------
    cells : (X, Y, Z) uint8
        Cerebatch codes with fissures closed; `WHITE_BIT` is added in white matter. 0 outside.
    depth_mm : (X, Y, Z) float32
        Distance to the next fissure or surface, negative in fissures; the core of white matter is never cut.
    grid : Grid
        In the frame of the anatomy.
    own_share : (26,) float
        Share of each cell that is fissure in the anatomy as it is.
    depths_mm : (26, QUANTILES) float
        Quantiles of the depth in each cell, from the shallowest.
    flow : (26, 3, x, y, z) float32
        Displacements in voxels of `grid` on every `flow_step`-th voxel, one field a label: its divergence is 1 in the
        label's cell and 0 elsewhere.
    flow_step : int
    response : (26, 26) float
        Mean divergence in the cell of the first label that the flow of the second label gives.
    """

    cells: LabelMap
    depth_mm: Volume
    grid: Grid
    own_share: NDArray[np.float64]
    depths_mm: NDArray[np.float64]
    flow: NDArray[np.float32]
    flow_step: int
    response: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        cells: LabelMap,
        white: NDArray[np.bool_],
        depth_mm: Volume,
        grid: Grid,
        own_share: NDArray[np.float64] | None = None,
    ) -> Anatomy:
        """Prepare an anatomy.

        Parameters
        ----------
        cells : (X, Y, Z) uint8
            Codes with fissures closed.
        white : (X, Y, Z) bool
        depth_mm : (X, Y, Z) float32
        grid : Grid
        own_share : (26,) float, optional
            As in the attributes; without it fissures are where the depth is negative.
        """
        depths = []
        for label in LABELS:
            own = np.sort(depth_mm[cells == label.index])
            depths.append(np.interp(np.linspace(0, 1, QUANTILES), np.linspace(0, 1, own.size), own))
        depths_mm = np.array(depths)
        if own_share is None:
            own_share = np.array([np.mean(depth_mm[cells == label.index] <= 0) for label in LABELS])
        step = max(1, round(FLOW_MM / float(grid.voxel_sizes_mm.mean())))
        flow, response = _flow(cells, grid.voxel_sizes_mm, step)
        marked = np.where(white & (cells > 0), cells | WHITE_BIT, cells).astype(np.uint8)
        return cls(marked, depth_mm, grid, own_share, depths_mm, flow, step, response)


def strengths(anatomy: Anatomy, log_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of each label's flow changes the volumes of the cells by given ratios, as far as smooth flows can.

    Parameters
    ----------
    anatomy : Anatomy
    log_ratios : (26,) float
        Logarithm of the volume wanted over that of the anatomy.

    Returns
    -------
    strengths : (26,) float
        The least squares solution with a small penalty; `response` @ strengths is what they do.
    """
    response = anatomy.response
    square = np.einsum("kl,km->lm", response, response) + _RIDGE * np.eye(len(response))
    return np.asarray(np.linalg.solve(square, np.einsum("kl,k->l", response, log_ratios)))


def _flow(cells: LabelMap, sizes_mm: NDArray[np.float64], step: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Gradients of the solutions of Poisson's equation whose sources are the cells, by Fourier transform."""
    blocks = tuple(-(-n // step) for n in cells.shape)
    padded = np.pad(cells, [(0, b * step - n) for b, n in zip(blocks, cells.shape, strict=True)])
    x, y, z = blocks
    blocked = padded.reshape(x, step, y, step, z, step).transpose(0, 2, 4, 1, 3, 5).reshape(x, y, z, -1)
    masks = np.stack([(blocked == label.index).mean(axis=-1, dtype=np.float32) for label in LABELS])

    # Room all around, or the field would run into its own other end.
    wide = tuple(fft.next_fast_len(2 * n, real=True) for n in blocks)
    waves = np.meshgrid(
        *[2 * np.pi * fft.fftfreq(n, size * step) for n, size in zip(wide[:2], sizes_mm[:2], strict=True)],
        2 * np.pi * fft.rfftfreq(wide[2], float(sizes_mm[2]) * step),
        indexing="ij",
    )
    square = np.sum([wave**2 for wave in np.broadcast_arrays(*waves)], axis=0)
    square[0, 0, 0] = np.inf
    flows = []
    for mask in masks:
        spectrum = fft.rfftn(mask, wide)
        potential = -spectrum / square
        parts = [fft.irfftn(1j * wave * potential, wide)[:x, :y, :z] for wave in waves]
        flows.append(np.stack([part / size for part, size in zip(parts, sizes_mm, strict=True)]))
    flat = masks.reshape(len(masks), -1).astype(np.float64)
    # No matrix product: its last digits depend on the number of threads.
    response = np.einsum("kn,ln->kl", flat, flat) / flat.sum(axis=1, keepdims=True)
    return np.stack(flows).astype(np.float32), response
