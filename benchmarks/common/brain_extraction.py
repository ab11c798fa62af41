"""A brain extraction by threshold and morphology, to make stripped copies of real whole heads.

Good enough to ask whether a missing skull changes the affine; not a tool.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cerebatch.spatial import template
from cerebatch.spatial.registration import foreground_threshold
from cerebatch.spatial.space import Affine, Grid, Volume, resample


def extracted(image: Volume, grid: Grid, mni_from_native: Affine) -> Volume:
    """The scan with everything but brain, ventricles and a rim of about 1 mm set to zero.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
        Native, nearly isotropic.
    mni_from_native : (4, 4) float
        Tells roughly where the brain is.
    """
    near = template.brain_mask_within(2, 6.0).astype(np.float32)
    _, near_grid = template.t1w(2)
    where = resample(near, near_grid, grid, mni_from_native, order=1) > 0.5
    edge = float(grid.voxel_sizes_mm.mean())
    bright = where & (image > foreground_threshold(image)) & (image < np.percentile(image[where], 99))
    core = ndimage.distance_transform_edt(bright) * edge > 2.5
    pieces, count = ndimage.label(core)
    largest = 1 + int(np.argmax(ndimage.sum(core, pieces, range(1, count + 1))))
    grown = ndimage.distance_transform_edt(pieces != largest) * edge <= 3.5
    closed = ndimage.binary_closing(np.pad(grown, 12), iterations=round(8 / edge))[12:-12, 12:-12, 12:-12]
    mask = np.asarray(ndimage.binary_fill_holes(closed & where))
    return np.where(mask, image, np.float32(0.0))
