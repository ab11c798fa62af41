"""Z-scores of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cerebatch.spatial.space import Volume


def standardised(image: Volume, region: NDArray[np.bool_]) -> Volume:
    """Z-scores over a region of the box.

    The notes on equation 2 ask for z-scores in the crop. Over the whole crop they would hang on the scalp, which
    one scan has and another lost to a brain extraction.

    Parameters
    ----------
    image : (X, Y, Z) float32
    region : (X, Y, Z) bool
    """
    inside = image[region]
    spread = float(inside.std())
    return np.asarray((image - inside.mean()) / (spread if spread > 0 else 1.0), dtype=np.float32)
